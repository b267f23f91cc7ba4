// SPDX-License-Identifier: GPL-2.0-or-later
// inotify(7) on a directory that may come and go: says that something in it was created, written, deleted or moved,
// not what.
#pragma once

#include <string>

#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer::os {

class DirectoryWatch {
 public:
  static Result<DirectoryWatch> create(std::string directory);
  /// Watches the directory if it has appeared since. Cheap enough to be called now and then.
  void renew();
  /// Takes what is queued off the descriptor. True if there was anything.
  bool drain();
  int descriptor() const { return fd_.get(); }

 private:
  DirectoryWatch(Fd fd, std::string directory) : fd_(std::move(fd)), directory_(std::move(directory)) {}
  Fd fd_;
  std::string directory_;
};

}  // namespace wgsteer::os
