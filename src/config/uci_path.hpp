// SPDX-License-Identifier: GPL-2.0-or-later
// Where libuci looks for a file of /etc/config.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wgsteer::config {

/// In libuci's order since OpenWrt 24.10: the first that is there counts as a whole, nothing is merged. What lies in
/// /var/run/uci stands for the file of the same name until the next reboot.
std::vector<std::string> uciFiles(std::string_view package);

/// The same for a path: any that is not right below /etc/config is that file alone.
std::vector<std::string> filesFor(std::string_view path);

/// The first that is there, by stat(2) as libuci has it; the last one if none is.
std::string firstThere(const std::vector<std::string>& paths);

}  // namespace wgsteer::config
