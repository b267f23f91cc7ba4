// SPDX-License-Identifier: GPL-2.0-or-later
// Replaces a file atomically, for readers and across a power cut: written to another name, then renamed.
//
// The folder may belong to another user: whatever is there, or is put there meanwhile, neither blocks us nor gets
// written to instead of the file.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>

#include "wgsteer/result.hpp"

namespace wgsteer::os {

/// The folder must exist. Links are followed if they are root's or ours. A device, a FIFO or a socket is not replaced
/// but written to, if a reader accepts that soon. After an error (ErrorKind::io: a full disk, no permission) the old
/// file is unchanged.
Status replaceFile(const std::string& file, std::string_view text, mode_t mode = 0644);

/// "/a" for "/a/b".
std::string folderOf(const std::string& file);

/// A rename or an unlink is on disk once its folder is synced.
Status syncFolder(const std::string& folder);

}  // namespace wgsteer::os
