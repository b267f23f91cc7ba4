// SPDX-License-Identifier: GPL-2.0-or-later
// Where the daemon writes down what the next one is to know.
#pragma once

#include <string>

namespace wgsteer {

/// The folder that systemd says in $STATE_DIRECTORY. Without it, as by hand, the one that systemd makes for the
/// service, if there is one, so that all go by the same; else /var/run/wgsteer.
std::string stateFolder(const std::string& serviceFolder = "/var/lib/wgsteer");

}  // namespace wgsteer
