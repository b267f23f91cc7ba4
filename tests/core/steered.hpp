// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/track.hpp"

#include "support/worlds.hpp"

namespace wgsteer::test {

/// Two WANs, with all of our state in place.
inline Picture steered() {
  Picture picture;
  picture.world = twoWans();
  const State desired = desire({}, picture.world);
  settle(picture, diff(desired, {}), desired);
  return picture;
}

}  // namespace wgsteer::test
