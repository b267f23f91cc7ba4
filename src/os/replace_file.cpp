// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/replace_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "os/fd.hpp"

namespace wgsteer::os {

namespace {

std::unexpected<Error> failed(const std::string& what) {
  return fail(ErrorKind::io, what + ": " + std::strerror(errno), errno);
}

/// To the disk, under a name that nobody reads.
Status writeNew(const std::string& file, const std::string& text) {
  const Fd opened{open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644)};
  if (!opened) return failed(file);
  for (std::size_t written = 0; written < text.size();) {
    const ssize_t size = write(opened.get(), text.data() + written, text.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed(file);
    written += static_cast<std::size_t>(size);
  }
  if (fsync(opened.get()) != 0) return failed(file);
  return {};
}

}  // namespace

std::string folderOf(const std::string& file) {
  const auto slash = file.rfind('/');
  return slash == std::string::npos ? "." : file.substr(0, slash);
}

Status syncFolder(const std::string& folder) {
  const Fd opened{open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!opened || fsync(opened.get()) != 0) return failed(folder);
  return {};
}

Status replaceFile(const std::string& file, const std::string& text) {
  const std::string fresh = file + ".new";
  if (const Status written = writeNew(fresh, text); !written) {
    unlink(fresh.c_str());
    return written;
  }
  if (rename(fresh.c_str(), file.c_str()) != 0) return failed(file);
  return syncFolder(folderOf(file));
}

}  // namespace wgsteer::os
