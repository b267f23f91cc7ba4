// SPDX-License-Identifier: GPL-2.0-or-later
// Which WAN, and which source address, the packets of a policy or tunnel use at present.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/steering.hpp"

namespace wgsteer {

/// The WAN that serves a policy in a family, and its source.
struct InUse {
  std::string wan;  ///< empty: none
  std::optional<Address> source;
  auto operator<=>(const InUse&) const = default;
};

/// The best eligible WAN of a policy; of a balanced group, the first.
InUse inUse(const Steering& steering, const PolicyView& policy, Family family);

/// All WANs and sources that the peers of a tunnel use.
using WansInUse = std::set<std::pair<Family, InUse>>;
WansInUse wansInUse(const Steering& steering, const TunnelView& tunnel);

/// A tunnel's policy uses another WAN, or another source, than before.
struct Move {
  IfName tunnel;
  Family family = Family::v4;
  InUse before;
  InUse now;
  std::string why;  ///< the former WAN cannot be used; empty if it can
};

/// Compares what tunnels use from plan to plan.
class InUseTracker {
 public:
  struct News {
    std::vector<Move> moves;
    /// Tunnels of which some peer uses another WAN or source, or may have done so in between.
    std::vector<const TunnelView*> moved;
  };
  /// `strayed`: packets may have used another WAN since the last call. The result borrows the steering.
  News update(const Steering& steering, bool strayed);

 private:
  /// What its peers use, and which of them have a WAN of their own.
  struct OfTunnel {
    std::array<InUse, kFamilies.size()> policy;
    WansInUse wans;
    std::map<std::size_t, std::size_t> peerWan;
  };
  std::map<IfName, OfTunnel> known_;
};

/// Endpoints of its peers, each with the addresses of the WAN that reaches it; unreachable endpoints are left out.
std::map<Endpoint, std::set<Address>> rightSources(const Steering& steering, const TunnelView& tunnel,
                                                   const NftTable& table);

}  // namespace wgsteer
