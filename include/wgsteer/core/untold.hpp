// SPDX-License-Identifier: GPL-2.0-or-later
// Changes that the kernel neither announces nor lets us model: found by reading its state from time to time.
#pragma once

#include <optional>
#include <string>

#include "wgsteer/core/track.hpp"

namespace wgsteer {

/// The first difference between what rtnetlink shows and what events announced, for people.
std::optional<std::string> untold(const Picture& told, const Picture& seen);

}  // namespace wgsteer
