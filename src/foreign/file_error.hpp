// SPDX-License-Identifier: GPL-2.0-or-later
// What is wrong with a file of another program, or with a folder of them.
#pragma once

#include <string>

#include "wgsteer/result.hpp"

namespace wgsteer::foreign {

struct FileError : Error {
  std::string file;  ///< or folder; empty: it is about several
};

}  // namespace wgsteer::foreign
