// SPDX-License-Identifier: GPL-2.0-or-later
// sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. Does nothing if that is not set.
#pragma once

#include <string_view>

namespace wgsteer::os {

void serviceNotify(std::string_view state);

/// Whether systemd restarts a service from which it hears nothing (WatchdogSec=, sd_watchdog_enabled(3)).
bool watchdogWanted();

}  // namespace wgsteer::os
