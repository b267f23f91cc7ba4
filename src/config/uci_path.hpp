// SPDX-License-Identifier: GPL-2.0-or-later
// Where libuci looks for a file of /etc/config.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wgsteer::config {

/// In libuci's order since OpenWrt 24.10: the first one that exists counts as a whole, nothing is merged. A file in
/// /var/run/uci overrides the file of the same name until the next reboot.
std::vector<std::string> uciFiles(std::string_view package);

/// The same for a path: one that is not directly below /etc/config means that file only.
std::vector<std::string> filesFor(std::string_view path);

/// The first one that exists, by stat(2) as in libuci; the last one if none does.
std::string firstThere(const std::vector<std::string>& paths);

}  // namespace wgsteer::config
