// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as the answer to a probe. The first byte selects the kind, the next two are the query's number.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "health/dns_probe.hpp"
#include "health/icmp_probe.hpp"

using namespace wgsteer;
using namespace wgsteer::health;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const auto id = static_cast<std::uint16_t>(data[1] << 8 | data[2]);
  // A copy of the exact size, so that a read of one byte too many is seen.
  const std::vector<std::uint8_t> datagram(data + 3, data + size);
  if (data[0] % 5 == 0) {
    // Without the right number it must not count.
    if (isDnsAnswer(datagram, id) && isDnsAnswer(datagram, static_cast<std::uint16_t>(id + 1))) std::abort();
    return 0;
  }
  const Family family = data[0] % 5 < 3 ? Family::v4 : Family::v6;
  const auto reply = readEchoReply(family, datagram, data[0] % 2 == 0 ? std::optional{id} : std::nullopt);
  const auto* end = datagram.data() + datagram.size();
  if (reply && std::not_equal_to<>{}(reply->payload.data() + reply->payload.size(), end)) std::abort();
  return 0;
}
