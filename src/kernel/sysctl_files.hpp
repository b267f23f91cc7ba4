// SPDX-License-Identifier: GPL-2.0-or-later
// /proc/sys of the network namespace that this process is in.
#pragma once

#include <string>

#include "wgsteer/core/sysctl.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::kernel {

/// notThere when the device has gone.
Status writeSysctl(const Sysctl& sysctl, bool on);
/// A number under /proc/sys/net/ipv4/conf/all or /proc/sys/net/ipv6/conf/all; 0 when it cannot be read.
unsigned readForAll(const std::string& family, const std::string& name);

}  // namespace wgsteer::kernel
