// SPDX-License-Identifier: GPL-2.0-or-later
// inotify(7) on directories that may come and go: says that something in them was created, written, deleted or moved,
// not what.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer::os {

class DirectoryWatch {
 public:
  static Result<DirectoryWatch> create(std::string directory);
  /// Of no directory yet.
  static Result<DirectoryWatch> create() { return create({}); }
  /// Watches the directory if it has appeared since. Cheap enough to be called now and then.
  void renew();
  /// Takes what is queued off the descriptor. True if there was anything.
  bool drain();

  /// Watches one more directory: also for its own end, and for files in it that were written and closed. Returns its
  /// number, the same for one that is watched already; below 0 if it is not there.
  int add(const std::string& directory);
  /// The number of the directory, and the name of what is in it; no name for the directory itself. Number -1: events
  /// were lost.
  using Seen = std::function<void(int directory, std::string_view name)>;
  void drain(const Seen& seen);
  int descriptor() const { return fd_.get(); }

 private:
  DirectoryWatch(Fd fd, std::string directory) : fd_(std::move(fd)), directory_(std::move(directory)) {}
  Fd fd_;
  std::string directory_;
};

}  // namespace wgsteer::os
