// SPDX-License-Identifier: GPL-2.0-or-later
// Reading files that somebody else may have put there.
#pragma once

#include <cstddef>
#include <expected>
#include <string>

#include "wgsteer/result.hpp"

namespace wgsteer::config {

/// Larger files are refused before they are read: a router has no memory for somebody's core dump.
inline constexpr std::size_t kMaxFileSize = 1024UL * 1024;

/// A regular file of at most kMaxFileSize. ErrorKind::notThere or io, and `what` says why.
Result<std::string> readFile(const std::string& path);

/// What readFile() says of a larger one.
std::unexpected<Error> tooLarge(const std::string& path);

}  // namespace wgsteer::config
