// SPDX-License-Identifier: GPL-2.0-or-later
// The part of an import that finds out which of mwan3's rules decides about which of WireGuard's packets.
#pragma once

#include <vector>

#include "foreign/mwan3_concern.hpp"

namespace wgsteer::foreign {

/// A rule that mwan3 may have left out (see judge()).
struct JudgedRule {
  const Mwan3Rule* rule = nullptr;
  bool installed = true;
};

struct Pin {
  Flow flow;
  const Mwan3Rule* rule = nullptr;  ///< null: none is about these packets
};

struct Pins {
  std::vector<Pin> pins;  ///< of each tunnel that is not disabled: its peers that are not, and what has no peer
  std::size_t rules = 0;  ///< those that are about WireGuard's own packets

  const Mwan3Rule* of(const NetifdInterface& tunnel, const NetifdPeer* peer) const;
};

/// As in mwan3, the first rule that matches decides, of those that are about WireGuard; rules for everything leave its
/// packets to our default policy. One that mwan3 left out decides only where no other does: then it was meant to. What
/// a rule does not do goes to `notes`, once for each rule and tunnel.
Pins pinsOf(const std::vector<JudgedRule>& rules, const Mwan3& mwan3, const Network& network, config::Problems& notes);

}  // namespace wgsteer::foreign
