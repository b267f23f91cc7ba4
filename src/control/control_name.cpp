// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/control_name.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/control_access.hpp"
#include "control/control_socket.hpp"
#include "os/lines.hpp"
#include "os/random.hpp"

namespace wgsteer {

namespace {

/// A listener that accepts no connection for this long is not a daemon.
constexpr timeval kPatience{.tv_sec = 3, .tv_usec = 0};
/// Two daemons that start at the same moment see each other; then one of them retries first.
constexpr int kAttempts = 4;

std::string prefix() { return std::string{kControlName} + "."; }

std::string freshName() {
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "%08x%08x", os::randomNumber(), os::randomNumber());
  return prefix() + text.data();
}

std::unexpected<Error> failed(const std::string& what) {
  const int code = errno;
  return fail(ErrorKind::io, "control socket: " + what + std::strerror(code), code);
}

Result<os::Fd> newSocket(int flags) {
  os::Fd made{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)};
  if (!made) return failed("");
  return made;
}

/// Names that daemons use when @wgsteer is taken.
Result<std::vector<std::string>> otherNames() {
  std::vector<std::string> names;
  auto read = os::forEachLine("/proc/self/net/unix", [&](std::string_view line) {
    const auto at = line.rfind(" @");
    if (at != std::string_view::npos && line.substr(at + 2).starts_with(prefix()))
      names.emplace_back(line.substr(at + 2));
    return true;
  });
  if (!read) return std::unexpected(std::move(read.error()));
  return names;
}

struct Reached {
  os::Fd socket;  ///< none: see `code`
  int code = 0;
  bool isDaemon = false;
};

Reached reach(std::string_view name, int flags = 0) {
  auto socket = newSocket(flags);
  if (!socket) return {.socket = {}, .code = socket.error().code};
  setsockopt(socket->get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  const ControlAddress address = controlAddress(name);
  if (connect(socket->get(), reinterpret_cast<const sockaddr*>(&address.address), address.length) != 0)
    return {.socket = {}, .code = errno};
  const bool isDaemon = isOwnPeer(socket->get());
  return {.socket = std::move(*socket), .code = 0, .isDaemon = isDaemon};
}

std::unexpected<Error> runsAlready(const std::string& name) {
  return fail(ErrorKind::alreadyThere,
              "wgsteer is already running in this network namespace (control socket @" + name + " is taken)",
              EADDRINUSE);
}

Result<ControlListener> listenAs(const std::string& name, int backlog) {
  auto made = newSocket(SOCK_NONBLOCK);
  if (!made) return std::unexpected(made.error());
  const ControlAddress address = controlAddress(name);
  if (bind(made->get(), reinterpret_cast<const sockaddr*>(&address.address), address.length) != 0)
    return failed("@" + name + ": ");
  if (::listen(made->get(), backlog) != 0) return failed("listen: ");
  return ControlListener{.socket = std::move(*made), .underOwnName = name == kControlName, .name = name};
}

struct Other {
  std::string name;  ///< empty: there is none
  os::Fd socket;     ///< connected, not blocking
};

/// A daemon other than the one that listens as `own`.
Result<Other> otherDaemon(const std::string& own) {
  auto names = otherNames();
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    if (name == own) continue;
    if (Reached reached = reach(name, SOCK_NONBLOCK); reached.isDaemon) return Other{name, std::move(reached.socket)};
  }
  // Last: a daemon that listened under another name may have got this one meanwhile.
  const std::string named{kControlName};
  if (own == named) return Other{};
  Reached reached = reach(named);
  return reached.isDaemon ? Other{named, std::move(reached.socket)} : Other{};
}

}  // namespace

Result<ControlListener> listenUnderOwnName(int backlog) { return listenAs(std::string{kControlName}, backlog); }

Result<ControlListener> listenAsDaemon(int backlog) {
  std::string taken;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto made = listenUnderOwnName(backlog);
    if (!made && made.error().code == EADDRINUSE) made = listenAs(freshName(), backlog);
    if (!made) return made;
    const auto other = otherDaemon(made->name);
    if (!other) return std::unexpected(other.error());
    if (other->name.empty()) return made;
    taken = other->name;
    if (taken == kControlName) break;
    made->socket.reset();
    poll(nullptr, 0, 20 + static_cast<int>(os::randomNumber() % 200));
  }
  return runsAlready(taken);
}

Result<os::Fd> connectToDaemon() {
  Reached named = reach(kControlName);
  if (named.isDaemon) return std::move(named.socket);
  if (auto other = otherDaemon(std::string{kControlName}); other && other->socket) {
    fcntl(other->socket.get(), F_SETFL, 0);
    return std::move(other->socket);
  }
  // Anybody may take an abstract name before the daemon does.
  if (named.socket) return fail(ErrorKind::notThere, "control socket @wgsteer is held by a user other than root");
  if (named.code == ECONNREFUSED || named.code == ENOENT)
    return fail(ErrorKind::notThere, "wgsteer is not running", named.code);
  return fail(ErrorKind::busy, std::string{"control socket @wgsteer: "} + std::strerror(named.code), named.code);
}

}  // namespace wgsteer
