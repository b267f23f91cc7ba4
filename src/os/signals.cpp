// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/signals.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/signalfd.h>
#include <unistd.h>

namespace wgsteer::os {

Result<Signals> Signals::create(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : signals) sigaddset(&set, number);
  if (sigprocmask(SIG_BLOCK, &set, nullptr) != 0)
    return fail(ErrorKind::io, std::string{"sigprocmask: "} + std::strerror(errno), errno);
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  Fd fd{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!fd) return fail(ErrorKind::io, std::string{"signalfd: "} + std::strerror(errno), errno);
  return Signals{std::move(fd)};
}

std::optional<int> Signals::next() {
  signalfd_siginfo info{};
  if (read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace wgsteer::os
