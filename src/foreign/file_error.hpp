// SPDX-License-Identifier: GPL-2.0-or-later
// An error in a file of another program, or in a folder of such files.
#pragma once

#include <string>

#include "wgsteer/result.hpp"

namespace wgsteer::foreign {

struct FileError : Error {
  std::string file;  ///< or folder; empty: it concerns several
};

}  // namespace wgsteer::foreign
