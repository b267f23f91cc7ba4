// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/lines.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace wgsteer::os {

namespace {

std::unexpected<Error> failed(const std::string& path) {
  const int code = errno;
  return fail(code == ENOENT ? ErrorKind::notThere : ErrorKind::io, path + ": " + std::strerror(code), code);
}

/// The buffer that getline(3) allocates and enlarges.
struct Buffer {
  char* text = nullptr;
  std::size_t room = 0;
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(text); }
};

}  // namespace

Status forEachLine(const std::string& path, const std::function<bool(std::string_view)>& take) {
  const auto close = [](std::FILE* opened) { std::fclose(opened); };
  const std::unique_ptr<std::FILE, decltype(close)> opened{std::fopen(path.c_str(), "re"), close};
  if (!opened) return failed(path);
  Buffer line;
  for (ssize_t size = 0; (size = ::getline(&line.text, &line.room, opened.get())) >= 0;) {
    std::string_view text{line.text, static_cast<std::size_t>(size)};
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (!take(text)) return {};
  }
  if (std::ferror(opened.get()) != 0) return failed(path);
  return {};
}

}  // namespace wgsteer::os
