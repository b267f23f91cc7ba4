// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/service_notify.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/fd.hpp"

namespace wgsteer::os {

void serviceNotify(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const Fd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket) return;
  // A failure cannot be reported to anyone: systemd's own timeout will show it.
  [[maybe_unused]] const auto sent =
      sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
             static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

bool watchdogWanted() {
  const char* process = std::getenv("WATCHDOG_PID");
  return std::getenv("WATCHDOG_USEC") != nullptr &&
         (process == nullptr || std::strtol(process, nullptr, 10) == static_cast<long>(getpid()));
}

}  // namespace wgsteer::os
