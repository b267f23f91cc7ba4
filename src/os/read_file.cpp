// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/read_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.hpp"

namespace wgsteer::os {

namespace {

std::unexpected<Error> cannotRead(const std::string& path, int code) {
  const bool missing = code == ENOENT || code == ENOTDIR;
  return fail(missing ? ErrorKind::notThere : ErrorKind::io, path + ": cannot be read: " + std::strerror(code), code);
}

/// Reallocation by std::string would leave a copy behind.
void enlarge(std::string& text) {
  std::string larger(std::max<std::size_t>(4096, 2 * text.size()), '\0');
  std::ranges::copy(text, larger.begin());
  wipe(text);
  text.swap(larger);
}

Result<std::string> readAll(int fd, const std::string& path, std::size_t expected) {
  // One byte more than expected, for the read that finds the end.
  std::string text(expected + 1, '\0');
  std::size_t size = 0;
  for (;;) {
    if (size == text.size()) enlarge(text);
    const ssize_t got = read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      const int code = errno;
      text.resize(size);
      if (got == 0) return text;
      wipe(text);
      return cannotRead(path, code);
    }
    size += static_cast<std::size_t>(got);
    if (size > kMaxFileSize) {  // it has grown since its size was read
      wipe(text);
      return tooLarge(path);
    }
  }
}

}  // namespace

std::unexpected<Error> tooLarge(const std::string& path) {
  return fail(ErrorKind::io, path + ": is larger than 1 MB, too large for a configuration");
}

void wipe(std::string& text) { explicit_bzero(text.data(), text.capacity()); }

Result<std::string> readFile(const std::string& path) {
  // O_NONBLOCK: opening a FIFO that has no writer would block the daemon here.
  const Fd file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (!file) return cannotRead(path, errno);
  struct stat about{};
  if (fstat(file.get(), &about) != 0) return cannotRead(path, errno);
  if (S_ISDIR(about.st_mode)) return fail(ErrorKind::io, path + ": is a directory, not a file", EISDIR);
  if (!S_ISREG(about.st_mode)) return fail(ErrorKind::io, path + ": is not a regular file");
  if (about.st_size > static_cast<off_t>(kMaxFileSize)) return tooLarge(path);
  return readAll(file.get(), path, static_cast<std::size_t>(about.st_size));
}

}  // namespace wgsteer::os
