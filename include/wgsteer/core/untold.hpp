// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel does some things that nobody announces and nobody has modelled: found by looking now and then.
#pragma once

#include <string>

#include "wgsteer/core/track.hpp"

namespace wgsteer {

/// The first thing in which what rtnetlink shows is not what events have told; empty: there is none.
std::string untold(const Picture& told, const Picture& seen);

}  // namespace wgsteer
