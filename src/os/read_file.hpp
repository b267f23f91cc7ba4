// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a whole file into memory, up to a limit.
#pragma once

#include <cstddef>
#include <string>

#include "wgsteer/result.hpp"

namespace wgsteer::os {

/// Larger files are refused before they are read: a router has no memory to spare for, say, a core dump.
inline constexpr std::size_t kMaxFileSize = 1024UL * 1024;

/// ErrorKind::notThere or io; `what` begins with the path. No part of the file stays in memory outside the returned
/// text: WireGuard's files hold private keys.
Result<std::string> readFile(const std::string& path);

/// The error for a file beyond kMaxFileSize.
std::unexpected<Error> tooLarge(const std::string& path);

/// Overwrites text that held keys.
void wipe(std::string& text);

}  // namespace wgsteer::os
