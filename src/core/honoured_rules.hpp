// SPDX-License-Identifier: GPL-2.0-or-later
// Foreign rules before main that lead to something that is neither a tunnel nor one of our WANs: an uplink that answers
// for one address of this host, networks behind Tailscale or an inside router, a path that was chosen for one
// destination. Our rules come first, so they have to repeat these for our packets.
#pragma once

#include <cstddef>
#include <vector>

#include "wgsteer/core/explain.hpp"
#include "wgsteer/core/steering.hpp"

namespace wgsteer {

struct ForeignRules {
  HonouredRules honoured;
  /// Those that lead to such destinations as well, but depend on something that is not understood (uid range, TOS, an
  /// inversion ...).
  std::vector<Rule> notUnderstood;
};
ForeignRules foreignRules(const World& world, const Numbers& numbers, const std::vector<Wan>& wans);

/// Whether a rule that is not understood may apply to this packet.
bool mayBeFor(const Rule& rule, const Packet& packet);

/// The foreign rule, among those honoured, that decides for every packet with this mark; null if there is none.
const Rule* honouredRuleFor(const HonouredRules& honoured, Mark mark);

}  // namespace wgsteer
