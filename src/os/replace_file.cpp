// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/replace_file.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.hpp"
#include "os/random.hpp"

namespace wgsteer::os {

namespace {

/// How long to wait for a slow reader.
constexpr int kPatienceMs = 2000;
constexpr int kMaxLinks = 8;
constexpr int kMaxNames = 16;

std::unexpected<Error> failed(const std::string& what) {
  return fail(ErrorKind::io, what + ": " + std::strerror(errno), errno);
}

/// A name that nobody can predict; early at boot, O_EXCL has to protect.
std::string freshName(const std::string& file) {
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), ".%08x%08x", randomNumber(), randomNumber());
  return file + text.data();
}

Fd createBeside(const std::string& file, mode_t mode, std::string& name) {
  for (int i = 0; i < kMaxNames; ++i) {
    name = freshName(file);
    Fd made{open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode)};
    if (made || errno != EEXIST) return made;
  }
  return Fd{};
}

bool becomesWritable(int descriptor) {
  pollfd ready{.fd = descriptor, .events = POLLOUT, .revents = 0};
  errno = ETIMEDOUT;
  return poll(&ready, 1, kPatienceMs) == 1;
}

Status writeAll(int descriptor, std::string_view text, const std::string& file) {
  while (!text.empty()) {
    const ssize_t size = write(descriptor, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN && becomesWritable(descriptor)) continue;
    if (size < 0) return failed(file);
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

Status writeBeside(const std::string& file, std::string_view text, mode_t mode, std::string& fresh) {
  const Fd made = createBeside(file, mode, fresh);
  if (!made) {
    const int code = errno;
    fresh.clear();
    return fail(ErrorKind::io, file + ": " + std::strerror(code), code);
  }
  if (auto written = writeAll(made.get(), text, file); !written) return written;
  return fsync(made.get()) == 0 ? Status{} : Status{failed(file)};
}

Status renameOver(const std::string& file, std::string_view text, mode_t mode) {
  std::string fresh;
  Status done = writeBeside(file, text, mode, fresh);
  if (done && rename(fresh.c_str(), file.c_str()) != 0) done = failed(file);
  if (!done) {
    if (!fresh.empty()) unlink(fresh.c_str());
    return done;
  }
  return syncFolder(folderOf(file));
}

Status writeInPlace(const std::string& file, std::string_view text) {
  const Fd opened{open(file.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (!opened) return failed(file);
  return writeAll(opened.get(), text, file);
}

/// The target of a link; nullopt if it is not a link.
Result<std::optional<std::string>> linkedFrom(const std::string& file) {
  struct stat about{};
  if (lstat(file.c_str(), &about) != 0 || !S_ISLNK(about.st_mode)) return std::nullopt;
  if (about.st_uid != 0 && about.st_uid != geteuid())
    return fail(ErrorKind::io, file + ": not following a symbolic link of another user", EACCES);
  std::array<char, PATH_MAX> text{};
  const ssize_t size = readlink(file.c_str(), text.data(), text.size());
  if (size < 0) return failed(file);
  const std::string target{text.data(), static_cast<std::size_t>(size)};
  return target.starts_with('/') ? target : folderOf(file) + "/" + target;
}

}  // namespace

std::string folderOf(const std::string& file) {
  const auto slash = file.rfind('/');
  if (slash == 0) return "/";
  return slash == std::string::npos ? "." : file.substr(0, slash);
}

Status syncFolder(const std::string& folder) {
  const Fd opened{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!opened || fsync(opened.get()) != 0) return failed(folder);
  return {};
}

Status replaceFile(const std::string& file, std::string_view text, mode_t mode) {
  std::string target = file;
  for (int i = 0; i < kMaxLinks; ++i) {
    struct stat about{};
    // /dev/stdout and the like lead to things without a path.
    const bool isFile = stat(target.c_str(), &about) != 0 || S_ISREG(about.st_mode);
    auto linked = linkedFrom(target);
    if (!linked) return std::unexpected(linked.error());
    if (!isFile) return writeInPlace(target, text);
    if (!*linked) return renameOver(target, text, mode);
    target = **linked;
  }
  return fail(ErrorKind::io, file + ": " + std::strerror(ELOOP), ELOOP);
}

}  // namespace wgsteer::os
