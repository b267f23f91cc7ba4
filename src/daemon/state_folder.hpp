// SPDX-License-Identifier: GPL-2.0-or-later
// Where the daemon stores what the next one has to know.
#pragma once

#include <string>

namespace wgsteer {

/// The folder in $STATE_DIRECTORY, set by systemd. Without it, as when run by hand, the one that systemd creates for
/// the service, if it exists, so that all use the same; otherwise /var/run/wgsteer.
std::string stateFolder(const std::string& serviceFolder = "/var/lib/wgsteer");

}  // namespace wgsteer
