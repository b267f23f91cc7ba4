// SPDX-License-Identifier: GPL-2.0-or-later
// The packets to walk through the chains of other programs: those of the tunnels, their replies, and our probes.
#pragma once

#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

#include "core/firewall_walk.hpp"

namespace wgsteer::firewall {

enum class Purpose : std::uint8_t {
  sent,      ///< from a tunnel to its peer
  answer,    ///< from a peer
  arrival,   ///< from a peer that contacts us first
  probe,     ///< of a WAN
  mayProbe,  ///< what probes or DNS queries over a WAN would be like
};

struct Trial {
  Sample sample;
  Purpose purpose = Purpose::sent;
  std::string what;  ///< "wg0's packets to 203.0.113.55:51820"
  std::vector<OwnStamp> ours;
};

/// A few of each kind are enough: the same holds for all peers of a tunnel that are routed alike.
std::vector<Trial> trials(const Config& config, const World& world, const Steering& steering, const State& state);

}  // namespace wgsteer::firewall
