// SPDX-License-Identifier: GPL-2.0-or-later
// Whether a route or a rule is ours: the one place that decides it, for reading, for events and for deletions.
#pragma once

#include "wgsteer/core/route.hpp"

namespace wgsteer {

/// It has our protocol and is in one of our tables: other programs may use either alone.
bool isOurs(const Route& route);

/// It has our protocol and the form of a rule that we make: it looks up one of our tables, at any priority
/// (rule_priority may have changed), or another table with our stamp; or it jumps within one of our blocks, or into one
/// over the foreign rules before it.
bool isOurs(const Rule& rule);

}  // namespace wgsteer
