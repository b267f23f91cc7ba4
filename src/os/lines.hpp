// SPDX-License-Identifier: GPL-2.0-or-later
// Reads a file of /proc that may be long, line by line.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "wgsteer/result.hpp"

namespace wgsteer::os {

/// Calls `take` with each line, without its end, until it returns false. The line is valid only during the call.
/// ErrorKind::notThere or io; `what` begins with the path.
Status forEachLine(const std::string& path, const std::function<bool(std::string_view)>& take);

}  // namespace wgsteer::os
