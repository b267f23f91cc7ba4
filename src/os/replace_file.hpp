// SPDX-License-Identifier: GPL-2.0-or-later
// A file that is whole at any moment, for whoever reads it and after a power cut: written beside, then renamed.
#pragma once

#include <string>

#include "wgsteer/result.hpp"

namespace wgsteer::os {

/// Mode 0644, in a folder that is there. After an error (ErrorKind::io: a full disk, no right) the old one is as it
/// was. Always by the same name for what is written beside, FILE.new: what a killed process left is written over by the
/// next.
Status replaceFile(const std::string& file, const std::string& text);

/// Of "/a/b": "/a".
std::string folderOf(const std::string& file);

/// A rename or an unlink is on the disk when its folder is.
Status syncFolder(const std::string& folder);

}  // namespace wgsteer::os
