// SPDX-License-Identifier: GPL-2.0-or-later
// Signals as a readable descriptor, signalfd(2), so that they are handled between events and never inside one.
#pragma once

#include <initializer_list>
#include <optional>

#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer::os {

class Signals {
 public:
  /// Blocks them for the process and delivers them here. Also ignores SIGPIPE.
  static Result<Signals> create(std::initializer_list<int> signals);
  std::optional<int> next();
  int descriptor() const { return fd_.get(); }

 private:
  explicit Signals(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace wgsteer::os
