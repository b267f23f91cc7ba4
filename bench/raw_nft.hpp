// SPDX-License-Identifier: GPL-2.0-or-later
// Changes of the map endpoint4 as written by hand with libmnl.
#pragma once

#include <cstdint>

#include "raw.hpp"

namespace wgsteer::bench {

/// One transaction that adds or deletes the endpoints first .. first + count - 1; elements `goto policy_15`. The last
/// message but one requests an acknowledgement.
Prebuilt endpointBatch(bool add, int first, int count);

}  // namespace wgsteer::bench
