// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/socket_places.hpp"

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "os/lines.hpp"

namespace wgsteer::netlink {

namespace {

/// A socket that is closed while the kernel lists them may hide another one from a reader (udp_get_idx()).
constexpr int kReadings = 3;

/// In a line of /proc/net/udp: any address, this port; no other side. WireGuard always has one of IPv4 (socket.c).
std::string boundTo(std::uint16_t port) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), " 00000000:%04X 00000000:0000 ", static_cast<unsigned>(port));
  return text.data();
}

}  // namespace

std::optional<bool> hasUdpSocket(std::uint16_t port) {
  const std::string wanted = boundTo(port);
  for (int reading = 0; reading < kReadings; ++reading) {
    bool found = false;
    const Status read = os::forEachLine("/proc/self/net/udp", [&](std::string_view line) {
      found = line.contains(wanted);
      return !found;
    });
    if (!read) return std::nullopt;
    if (found) return true;
  }
  return false;
}

/// That there is none is believed when it is seen twice: the port may have changed since the tunnel was read, or the
/// device gone down.
void SocketPlaces::look(Known& known, std::uint16_t port) {
  const auto found = hasUdpSocket(port);
  const SocketPlace place = found.value_or(true) ? SocketPlace::here : SocketPlace::elsewhere;
  known = {
      .port = port, .place = place, .sure = place == SocketPlace::here || (known.port == port && known.place == place)};
}

SocketPlace SocketPlaces::of(const Link& link, std::uint16_t port) {
  Known& known = known_[link.index];
  if (link.up && port != 0 && !(known.sure && known.port == port)) look(known, port);
  return link.up || known.sure ? known.place : SocketPlace::unknown;
}

void SocketPlaces::keep(const std::map<IfIndex, Link>& links) {
  std::erase_if(known_, [&](const auto& known) { return !links.contains(known.first); });
}

}  // namespace wgsteer::netlink
