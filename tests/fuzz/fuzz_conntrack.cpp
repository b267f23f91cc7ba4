// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as conntrack's dump of flows: only a flow whose replies go to a wrong address, or that has a mark of ours,
// is deleted.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <span>
#include <sys/socket.h>
#include <vector>

#include "netlink/conntrack.hpp"
#include "netlink/wire.hpp"

using namespace wgsteer;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::map<Endpoint, std::set<Address>> rightSources = {
      {Endpoint{*Address::parse("203.0.113.55"), 51820}, {*Address::parse("192.0.2.10")}},
      {Endpoint{*Address::parse("2001:db8:cafe::55"), 51820}, {*Address::parse("2001:db8:10::10")}}};
  // Aligned, as a buffer that recv(2) fills is.
  const std::vector<std::uint8_t> bytes(data, data + size);
  netlink::forEachMessage(std::as_bytes(std::span(bytes)), [](const nlmsghdr* message) {
    const auto flow = netlink::staleFlow(message, rightSources);
    const auto isWhole = [](const netlink::Flow& found) {
      return !found.tuple.empty() && (found.family == AF_INET || found.family == AF_INET6);
    };
    if (flow && !isWhole(*flow)) std::abort();
    const auto marked = netlink::markedFlow(message, 0xff000000);
    if (marked && (!isWhole(marked->flow) || (marked->mark.value & 0xff000000) == 0)) std::abort();
  });
  return 0;
}
