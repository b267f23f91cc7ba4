// SPDX-License-Identifier: GPL-2.0-or-later
// Replaces a file atomically, for readers and across a power cut: written to another name, then renamed.
//
// In a folder that may be somebody else's: what lies there, or is put there meanwhile, neither stops us nor is written
// to in the file's place.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>

#include "wgsteer/result.hpp"

namespace wgsteer::os {

/// In a folder that is there. Links are followed if they are root's or ours. A device, a FIFO or a socket is
/// no file to be replaced: it is written to, if somebody takes that soon. After an error (ErrorKind::io: a full disk,
/// no right) the old file is as it was.
Status replaceFile(const std::string& file, std::string_view text, mode_t mode = 0644);

/// Of "/a/b": "/a".
std::string folderOf(const std::string& file);

/// A rename or an unlink is on the disk when its folder is.
Status syncFolder(const std::string& folder);

}  // namespace wgsteer::os
