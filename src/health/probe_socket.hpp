// SPDX-License-Identifier: GPL-2.0-or-later
// Sockets whose packets leave by one WAN and no other, and hear nothing from elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/config.hpp"
#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer::health {

/// The WAN's targets in their order, with the method's port unless they name one; 0 for ICMP.
std::vector<Endpoint> probeTargets(const WanConfig& wan);

struct ProbeOptions {
  IfName device;
  Mark mark;                ///< the WAN's own
  std::uint32_t size = 56;  ///< bytes of payload, ICMP; at least kMinProbeSize
  std::uint32_t maxTtl = 60;
};

/// What became of a question.
struct Reply {
  std::size_t question = 0;
  bool answered = false;  ///< false: it never will be
  bool refused = false;   ///< this host did not let it out
};

/// Non-blocking, bound to the device, with its mark and time to live. Bound means the device that has the name now.
Result<os::Fd> openProbeSocket(Family family, int type, int protocol, const ProbeOptions& options);

/// A socket address with its length.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);
  const sockaddr* get() const;
  sockaddr* get();
};
SocketAddress toSocketAddress(const Endpoint& target, const IfName& device);
std::uint16_t portOf(const SocketAddress& address);
/// Whether it is this address, whatever the port.
bool isFrom(const SocketAddress& from, const Address& address);

/// Why a question could not be sent. ErrorKind::refused: not let out by this host, by a firewall (EPERM) or a route or
/// rule of type prohibit (EACCES). Our own closing routes are `unreachable`, and say that the WAN has no gateway.
std::unexpected<Error> notSent(const Endpoint& target);

/// Has the kernel keep what ICMP says of the socket's packets; TCP does so since Linux 5.8.
void keepErrors(int descriptor, Family family);

enum class IcmpSaid : std::uint8_t {
  nothing,
  something,
  refusal,  ///< by a firewall of this host
};
IcmpSaid takeError(int descriptor);

/// Says which question by its number when the descriptor is ready. Closing removes it.
Status watchFor(int epoll, int descriptor, std::uint32_t events, std::size_t question);

/// Unpredictable bytes, from the kernel.
void fillRandom(std::span<std::uint8_t> bytes);

}  // namespace wgsteer::health
