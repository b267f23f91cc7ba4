// SPDX-License-Identifier: GPL-2.0-or-later
// Datagrams as frames, to be written to a device.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "wgsteer/core/address.hpp"

namespace wgsteer::bench {

using Mac = std::array<std::uint8_t, 6>;
std::string textOf(const Mac& mac);

struct Datagram {
  Mac from{}, to{};
  Address source, destination;  ///< of one family
  std::uint16_t sourcePort = 0, destinationPort = 0;
};

using Frame = std::vector<char>;
/// 100 bytes including the headers of IP and UDP. Without a checksum of UDP, as if the device had verified it: IPv4
/// allows that, and of IPv6 no more than forwarding looks at it.
Frame frameOf(const Datagram& datagram);

}  // namespace wgsteer::bench
