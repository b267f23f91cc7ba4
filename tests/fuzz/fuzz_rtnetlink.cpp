// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as what rtnetlink announces or dumps: values that make sense, or nothing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "netlink/rtnl.hpp"
#include "netlink/wire.hpp"

using namespace wgsteer;
using namespace wgsteer::netlink;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Aligned, as a buffer that recv(2) fills is.
  std::vector<std::byte> bytes(size);
  if (size != 0) std::memcpy(bytes.data(), data, size);
  forEachMessage(bytes, [](const nlmsghdr* message) {
    (void)decodeLink(message);
    if (const auto address = decodeAddress(message))
      if (address->prefixLength > bitsOf(address->address.family())) std::abort();
    if (const auto route = decodeRoute(message))
      if (route->destination.length() > bitsOf(route->destination.family())) std::abort();
    (void)decodeRule(message);
  });
  return 0;
}
