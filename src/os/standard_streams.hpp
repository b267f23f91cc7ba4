// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace wgsteer::os {

/// To be called first of all: a program that was started without one of descriptors 0 to 2 would open something else
/// under that number, and then write its errors into it. What is put there refuses to be read or written.
void holdStandardStreams();

}  // namespace wgsteer::os
