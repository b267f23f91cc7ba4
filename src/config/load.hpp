// SPDX-License-Identifier: GPL-2.0-or-later
// Turns a configuration file into a valid Config, or into the list of everything that is wrong with it.
#pragma once

#include <string>
#include <string_view>

#include "wgsteer/core/config.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::config {

/// TOML if the name ends in .toml; UCI in /etc/config and /var/run/uci, and any file that begins like UCI; otherwise
/// TOML if this build reads it.
///
/// ErrorKind::config: `what` holds every error, one per line, each "FILE:LINE: OPTION: what is wrong, what is allowed".
/// ErrorKind::notThere or io: the file cannot be read, and `what` says why.
Result<Config> loadFile(const std::string& path);

/// The same for text that is already in memory; errors call it `fileName`.
Result<Config> loadText(std::string_view text, const std::string& fileName);

}  // namespace wgsteer::config
