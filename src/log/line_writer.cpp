// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/line_writer.hpp"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace wgsteer::log {

namespace {

/// What a writable pipe accepts in one go (PIPE_BUF).
constexpr std::size_t kAtOnce = 4096;

}  // namespace

LineWriter::LineWriter(int descriptor) : descriptor_(descriptor) {
  struct stat about{};
  if (fstat(descriptor, &about) != 0) return;
  if (S_ISSOCK(about.st_mode)) kind_ = Kind::socket;
  if (!S_ISFIFO(about.st_mode) && !S_ISCHR(about.st_mode)) return;
  const std::string self = "/proc/self/fd/" + std::to_string(descriptor);
  const int own = open(self.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0) return;
  descriptor_ = own;
  kind_ = Kind::own;
}

LineWriter::~LineWriter() {
  if (kind_ == Kind::own) close(descriptor_);
}

std::size_t LineWriter::send(std::string_view text) const {
  ssize_t size = -1;
  if (kind_ == Kind::socket) {
    size = ::send(descriptor_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } else {
    pollfd ready{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    if (kind_ == Kind::shared) {
      text = text.substr(0, kAtOnce);
      if (poll(&ready, 1, 0) != 1) return 0;
    }
    size = ::write(descriptor_, text.data(), text.size());
  }
  return size < 0 ? 0 : static_cast<std::size_t>(size);
}

bool LineWriter::finishRest() {
  while (!rest_.empty()) {
    const std::size_t sent = send(rest_);
    if (sent == 0) return false;
    rest_.erase(0, sent);
  }
  return true;
}

bool LineWriter::put(std::string_view line) {
  if (!finishRest()) return false;
  const std::size_t sent = send(line);
  if (sent == 0) return false;
  // The beginning has been written, so the rest has to follow: the reader must get whole lines.
  rest_ = line.substr(sent);
  finishRest();
  return true;
}

}  // namespace wgsteer::log
