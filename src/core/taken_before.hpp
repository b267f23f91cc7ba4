// SPDX-License-Identifier: GPL-2.0-or-later
// Rules of other programs that keep this host's own connections from rules for any traffic. These packets have no mark
// before they have a route, so that no jump could lead only those past a foreign rule that a rule of ours is for.
#pragma once

#include <string>

#include "wgsteer/core/family_map.hpp"

#include "core/traffic.hpp"

namespace wgsteer {

/// By family, the rule that takes them all before they ask `rule`. Empty: they ask it, it is not for them, or it is
/// chains that ask it (see canRouteLocal), which come after the routes.
FamilyMap<const Rule*> takenBefore(const TrafficState& of, const RuleConfig& rule);

/// "not for this host's own IPv4 connections: ip rule priority 150 lookup 300 comes first"; empty: there is none.
std::string whyNotForOwn(const TrafficState& of, const RuleConfig& rule);

}  // namespace wgsteer
