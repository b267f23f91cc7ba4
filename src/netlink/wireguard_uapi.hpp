// SPDX-License-Identifier: GPL-2.0-or-later
// User-space WireGuard (wireguard-go, boringtun) through its socket: https://www.wireguard.com/xplatform/. A process
// that hangs cannot hold us up: a conversation has half a second in all.
#pragma once

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

 private:
  std::string socketPath(const IfName& device) const;
  std::string directory_;
};

}  // namespace wgsteer::netlink
