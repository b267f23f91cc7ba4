// SPDX-License-Identifier: GPL-2.0-or-later
// From a configuration file to a Config that is right, or to all that is wrong with it.
#pragma once

#include <string>
#include <string_view>

#include "wgsteer/core/config.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::config {

/// TOML if it is called *.toml; UCI in /etc/config and /var/run/uci, and whatever begins like it; else TOML where it is
/// built in.
///
/// ErrorKind::config: `what` holds every error, one a line, each "FILE:LINE: OPTION: what is wrong, what is allowed".
/// ErrorKind::notThere or io: the file cannot be read, and `what` says why.
Result<Config> loadFile(const std::string& path);

/// The same for text that is already in memory; `fileName` is what errors call it.
Result<Config> loadText(std::string_view text, const std::string& fileName);

}  // namespace wgsteer::config
