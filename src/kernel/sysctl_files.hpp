// SPDX-License-Identifier: GPL-2.0-or-later
// /proc/sys of the network namespace that this process is in.
#pragma once

#include <string>

#include "wgsteer/core/sysctl.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::kernel {

/// notThere when the device has gone.
Status writeSysctl(const Sysctl& sysctl, bool on);
/// A number under /proc/sys/net, by its path from there; 0 when it cannot be read.
unsigned readNumber(const std::string& path);

}  // namespace wgsteer::kernel
