// SPDX-License-Identifier: GPL-2.0-or-later
// Lines to a descriptor whose other end may be anything: a journal that hangs, a pipe that nobody reads, a terminal
// that was stopped, a full disk. It is never waited for; what does not go is counted, and told when writing works
// again.
//
// The descriptor is shared with whoever started us, so it stays blocking: a pipe or a terminal is opened a second time,
// and a socket is asked not to wait.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace wgsteer::log {

class LineWriter {
 public:
  /// `descriptor` stays its owner's.
  explicit LineWriter(int descriptor);
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// `line` with its end; `notice` makes one of the text that tells how many were lost.
  template <typename Notice>
  void write(std::string_view line, Notice notice) {
    if (lost_ > 0 && put(notice("log lines lost: " + std::to_string(lost_)))) lost_ = 0;
    if (lost_ > 0 || !put(line)) ++lost_;
  }
  std::size_t lost() const { return lost_; }

 private:
  enum class Kind { socket, own, shared };

  bool put(std::string_view line);
  bool finishRest();
  std::size_t send(std::string_view text) const;

  int descriptor_;
  Kind kind_ = Kind::shared;
  std::string rest_;  ///< of a line that went in part
  std::size_t lost_ = 0;
};

}  // namespace wgsteer::log
