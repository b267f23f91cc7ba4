// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/directory_watch.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <sys/inotify.h>
#include <unistd.h>

namespace wgsteer::os {

Result<DirectoryWatch> DirectoryWatch::create(std::string directory) {
  Fd fd{inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  if (!fd) return fail(ErrorKind::io, std::string{"inotify_init1: "} + std::strerror(errno), errno);
  DirectoryWatch watch{std::move(fd), std::move(directory)};
  watch.renew();
  return watch;
}

void DirectoryWatch::renew() {
  if (directory_.empty()) return;
  // The same directory again only sets the same mask; one that is not there yet is tried again next time.
  inotify_add_watch(fd_.get(), directory_.c_str(),
                    IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_ONLYDIR);
}

bool DirectoryWatch::drain() {
  alignas(inotify_event) std::array<char, 4096> events{};
  bool any = false;
  while (read(fd_.get(), events.data(), events.size()) > 0) any = true;
  return any;
}

int DirectoryWatch::add(const std::string& directory) {
  return inotify_add_watch(fd_.get(), directory.c_str(),
                           IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE_SELF |
                               IN_MOVE_SELF | IN_ONLYDIR);
}

void DirectoryWatch::drain(const Seen& seen) {
  alignas(inotify_event) std::array<char, 4096> events{};
  for (;;) {
    const ssize_t size = read(fd_.get(), events.data(), events.size());
    if (size <= 0) return;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(size);) {
      inotify_event event{};
      std::memcpy(&event, &events[at], sizeof event);
      // Padded with zeros, and none at all for the directory itself.
      const char* name = &events[at] + sizeof event;
      seen(event.wd, event.len == 0 ? std::string_view{} : std::string_view{name});
      at += sizeof event + event.len;
    }
  }
}

}  // namespace wgsteer::os
