// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/tcp_probe.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/epoll.h>

namespace wgsteer::health {

Status TcpProbe::ask(std::size_t question, const ProbeTarget& target, int epoll) {
  asked_.resize(std::max(asked_.size(), question + 1));
  auto fd = openProbeSocket(target.address.family(), SOCK_STREAM, IPPROTO_TCP, options_);
  if (!fd) return std::unexpected(std::move(fd.error()));
  // Closed by a reset, so that neither end keeps anything.
  const linger atOnce{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd->get(), SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
  const SocketAddress to = toSocketAddress(target, options_.device);
  // Non-blocking: even a refusal comes later.
  if (connect(fd->get(), to.get(), to.length) != 0 && errno != EINPROGRESS)
    return fail(ErrorKind::io, "connect to " + target.address.toString() + ": " + std::strerror(errno), errno);
  asked_[question] = std::move(*fd);
  return watchFor(epoll, asked_[question].get(), EPOLLOUT, question);
}

void TcpProbe::collect(std::size_t question, std::vector<Reply>& replies) {
  if (question >= asked_.size() || !asked_[question]) return;
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(asked_[question].get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  asked_[question].reset();
  replies.push_back({question, error == 0 || error == ECONNREFUSED});
}

}  // namespace wgsteer::health
