// SPDX-License-Identifier: GPL-2.0-or-later
// User-space WireGuard (wireguard-go, boringtun) through its socket: https://www.wireguard.com/xplatform/. A process
// that hangs cannot hold us up: a conversation has half a second in all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::netlink {

inline constexpr const char* kUapiDirectory = "/var/run/wireguard";

/// The answer to "get=1". Lines with keys other than public ones are passed over; unknown lines are, too.
Result<Tunnel> parseUapi(std::string_view answer, const IfName& device);

class WireGuardUapi {
 public:
  explicit WireGuardUapi(std::string directory) : directory_(std::move(directory)) {}

  /// notThere without a socket, or when nobody listens on it any more; busy when there is no answer in time.
  Result<Tunnel> read(const IfName& device) const;
  Status setFwmark(const IfName& device, Mark fwmark) const;
  /// Of a peer that is there; another one is not made.
  Status setEndpoint(const IfName& device, const PublicKey& peer, const Endpoint& endpoint) const;
  /// wireguard-go keeps sending by a link that is down until its handshake is tried again after 15 s: it hears of IPv4
  /// routes that go, but link down takes them silently; and it does nothing when the fwmark is set to what it is. So
  /// another mark is set for a moment, one that rules cannot tell from it; where there is none, the socket is opened
  /// again.
  Status unstick(const IfName& device, Mark fwmark, std::optional<Mark> equivalent, std::uint16_t listenPort) const;

 private:
  Status set(const IfName& device, const std::string& lines, const std::string& what) const;
  std::string socketPath(const IfName& device) const;
  std::string directory_;
};

}  // namespace wgsteer::netlink
