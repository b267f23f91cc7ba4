// SPDX-License-Identifier: GPL-2.0-or-later
// Sockets whose packets leave by one WAN only, and which receive nothing from elsewhere.
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
#include "os/poller.hpp"

namespace wgsteer::health {

/// The WAN's targets in order, with the method's default port unless they name one; 0 for ICMP.
std::vector<Endpoint> probeTargets(const WanConfig& wan);

struct ProbeOptions {
  IfName device;
  Mark mark;                ///< the WAN's own
  std::uint32_t size = 56;  ///< bytes of payload, ICMP; at least kMinProbeSize
  std::uint32_t maxTtl = 60;
};

/// The outcome of a probe.
struct Reply {
  std::size_t question = 0;
  bool answered = false;  ///< false: no answer will come
  bool refused = false;   ///< this host blocked it
};

/// Non-blocking, bound to the device, with its mark and time to live. Bound to the device that has the name now.
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
/// Whether it has this address, whatever the port.
bool isFrom(const SocketAddress& from, const Address& address);

/// Why a probe could not be sent. ErrorKind::refused: blocked by this host, by a firewall (EPERM) or by a route or rule
/// of type prohibit (EACCES). Our own closing routes are `unreachable`, which means that the WAN has no gateway.
std::unexpected<Error> notSent(const Endpoint& target);

/// Makes the kernel queue ICMP errors for the socket's packets; for TCP since Linux 5.8.
void keepErrors(int descriptor, Family family);

enum class IcmpSaid : std::uint8_t {
  nothing,
  something,
  refusal,  ///< by a firewall of this host
};
IcmpSaid takeError(int descriptor);

}  // namespace wgsteer::health
