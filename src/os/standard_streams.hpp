// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace wgsteer::os {

/// To be called before anything else: a program that was started without one of the descriptors 0 to 2 would open
/// something else under that number and then write its errors into it. The placeholder can be neither read nor written.
void holdStandardStreams();

}  // namespace wgsteer::os
