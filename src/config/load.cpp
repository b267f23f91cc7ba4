// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/load.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/sections.hpp"
#include "config/text.hpp"
#include "config/validate.hpp"
#ifdef WGSTEER_TOML
#include "config/toml.hpp"
#endif

namespace wgsteer::config {

namespace {

class OpenFile {
 public:
  // O_NONBLOCK: a FIFO without a writer would stop the daemon right here.
  explicit OpenFile(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::unexpected<Error> cannotRead(const std::string& path, int code) {
  const bool missing = code == ENOENT || code == ENOTDIR;
  return fail(missing ? ErrorKind::notThere : ErrorKind::io, path + ": cannot be read: " + std::strerror(code), code);
}

std::unexpected<Error> tooLarge(const std::string& path) {
  return fail(ErrorKind::io, path + ": is larger than 1 MB, which no configuration is");
}

Result<std::string> readAll(int fd, const std::string& path) {
  std::string text;
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannotRead(path, errno);
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    // It has grown since its size was asked.
    if (text.size() > kMaxFileSize) return tooLarge(path);
  }
}

Result<std::string> readFile(const std::string& path) {
  const OpenFile file{path};
  if (file.fd() < 0) return cannotRead(path, errno);
  struct stat about{};
  if (fstat(file.fd(), &about) != 0) return cannotRead(path, errno);
  if (S_ISDIR(about.st_mode)) return fail(ErrorKind::io, path + ": is a directory, must be a file", EISDIR);
  if (!S_ISREG(about.st_mode)) return fail(ErrorKind::io, path + ": is not a regular file");
  if (about.st_size > static_cast<off_t>(kMaxFileSize)) return tooLarge(path);
  return readAll(file.fd(), path);
}

Sections read(std::string_view text, Problems& problems) {
#ifdef WGSTEER_TOML
  return readToml(text, problems);
#else
  if (text.find_first_not_of(" \t\r\n") != std::string_view::npos)
    problems.add(0, {}, "this build reads no TOML (WGSTEER_TOML=OFF)");
  return {};
#endif
}

}  // namespace

Result<Config> loadText(std::string_view text, const std::string& fileName) {
  Problems problems;
  Config config;
  if (text.size() > kMaxFileSize) return tooLarge(fileName);
  if (const auto bad = badText(text)) {
    problems.add(bad->line, {}, bad->what);
  } else {
    const Sections sections = read(text, problems);
    config = validate(sections, problems);
  }
  if (!problems.empty()) return fail(ErrorKind::config, problems.toString(fileName));
  return config;
}

Result<Config> loadFile(const std::string& path) {
  const auto text = readFile(path);
  if (!text) return std::unexpected(text.error());
  return loadText(*text, path);
}

}  // namespace wgsteer::config
