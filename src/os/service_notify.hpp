// SPDX-License-Identifier: GPL-2.0-or-later
// sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. Does nothing when that is not set.
#pragma once

#include <string_view>

namespace wgsteer::os {

void serviceNotify(std::string_view state);

}  // namespace wgsteer::os
