// SPDX-License-Identifier: GPL-2.0-or-later
// Writes lines to a descriptor whose other end may be anything: a journal that hangs, a pipe that nobody reads, a
// stopped terminal, a full disk. It never waits; lines that cannot be written are counted and reported when writing
// works again.
//
// The descriptor is shared with whoever started us, so it stays blocking: a pipe or a terminal is opened a second time,
// and sockets are written to with a flag not to wait.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace wgsteer::log {

class LineWriter {
 public:
  /// `descriptor` still belongs to its owner.
  explicit LineWriter(int descriptor);
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  /// `line` includes its newline; `notice` formats the text about the number of lost lines as such a line.
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
  std::string rest_;  ///< the rest of a partially written line
  std::size_t lost_ = 0;
};

}  // namespace wgsteer::log
