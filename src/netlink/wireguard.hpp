// SPDX-License-Identifier: GPL-2.0-or-later
// WireGuard tunnels, in the kernel (generic netlink) and in user space (the cross-platform UAPI socket), behind one
// interface. Private and preshared keys pass through the buffers of both; they are never decoded, and the buffers are
// wiped.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

#include "netlink/look_again.hpp"
#include "netlink/socket_places.hpp"
#include "netlink/wireguard_genl.hpp"
#include "netlink/wireguard_uapi.hpp"

namespace wgsteer::netlink {

class WireGuard {
 public:
  WireGuard() = default;
  /// Where user-space implementations listen, in tests.
  explicit WireGuard(std::vector<std::string> uapiFolders) : uapi_(std::move(uapiFolders)) {}

  struct Seen {
    std::map<IfName, Tunnel> tunnels;
    std::map<IfName, std::string> troubles;  ///< see World::tunnelTroubles
  };
  /// All tunnels among the links. A tunnel that does not answer, refuses, or answers garbage keeps its last known state
  /// and is listed in `troubles`; the others are not affected. A tunnel in user space ends only with its device,
  /// because it keeps sending without its socket. Fails only if the kernel tells us nothing at all.
  Result<Seen> observe(const std::map<IfIndex, Link>& links);
  /// As the device has it now. That of a device with very many peers is as it was last read.
  Result<Mark> fwmark(const Tunnel& tunnel);
  Status setFwmark(const Tunnel& tunnel, Mark fwmark);
  /// The session continues. A peer that does not exist (any more) is not an error, and is not created.
  Status setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint);
  /// Makes it forget the sources that it has cached for its peers. The kernel's does when its fwmark is set, also to
  /// what it is; for others see WireGuardUapi.
  Status clearSources(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers);

  /// From here on, descriptor() is readable when tunnels must be read again.
  Status subscribe();
  /// Negative before subscribe().
  int descriptor() const { return again_ ? again_->descriptor() : -1; }
  /// Whether another look is due.
  bool drain() { return again_ && again_->drain(); }

 private:
  struct Known {
    IfIndex link;
    Tunnel tunnel;
    std::optional<Instant> silentSince;  ///< time of the first look that it missed
  };
  /// The name of its generic netlink family.
  const char* kindOf(const IfName& device) const;
  std::map<IfName, Result<Tunnel>> ask(const std::map<IfIndex, Link>& links);
  const Known* lastKnown(const Link& link) const;
  std::optional<Known> learned(const Link& link, const Result<Tunnel>& answer, Seen& seen) const;
  void expect(const std::map<IfIndex, Link>& links, const Seen& seen);

  WireGuardGenl genl_;
  WireGuardUapi uapi_;
  SocketPlaces places_;
  std::optional<LookAgain> again_;
  std::map<IfName, Known> last_;
  std::map<IfName, std::string> kinds_;  ///< of the kernel's tunnels last seen: each kind has its own family
};

}  // namespace wgsteer::netlink
