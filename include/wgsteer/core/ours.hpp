// SPDX-License-Identifier: GPL-2.0-or-later
// Whose a route or a rule is: the one place that says so, for reading, for events and for what may be deleted.
#pragma once

#include "wgsteer/core/route.hpp"

namespace wgsteer {

/// Our protocol, in one of our tables: others may use either.
bool isOurs(const Route& route);

/// Our protocol, and a rule as we make them: it looks up one of our tables, at whatever priority (rule_priority may
/// have been another one), or another table with a stamp of ours; or it jumps within one block of ours, is what such a
/// jump leads to, or ends the way of packets by their mark.
bool isOurs(const Rule& rule);

}  // namespace wgsteer
