// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

namespace wgsteer::os {

/// The contents of /proc/PID/comm; empty if there is no such process (any more).
std::string processName(std::uint32_t pid);

}  // namespace wgsteer::os
