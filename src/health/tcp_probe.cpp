// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/tcp_probe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/in.h>

#include "os/random.hpp"

namespace wgsteer::health {

Status TcpProbe::ask(std::size_t question, const Endpoint& target, const os::Poller& poller) {
  asked_.resize(std::max(asked_.size(), question + 1));
  Asked& asked = asked_[question];
  auto fd = openProbeSocket(target.address.family(), SOCK_STREAM, IPPROTO_TCP, options_);
  if (!fd) return std::unexpected(std::move(fd.error()));
  // Closed with a reset, so that neither end keeps any state.
  const linger atOnce{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd->get(), SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
  keepErrors(fd->get(), target.address.family());
  const SocketAddress to = toSocketAddress(target, options_.device);
  // Non-blocking: even a refusal comes later.
  if (connect(fd->get(), to.get(), to.length) != 0 && errno != EINPROGRESS) return notSent(target);
  asked = {std::move(*fd), target};
  return poller.watch(asked.fd.get(), EPOLLOUT, question);
}

void TcpProbe::collect(std::size_t question, std::vector<Reply>& replies) {
  if (question >= asked_.size() || !asked_[question].fd) return;
  Asked& asked = asked_[question];
  const IcmpSaid said = takeError(asked.fd.get());
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(asked.fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  asked.fd.reset();
  const bool refused = said == IcmpSaid::refusal;
  const bool accepted = error == 0 && said == IcmpSaid::nothing;
  replies.push_back({question, !refused && (accepted || error == ECONNREFUSED), refused});
}

bool TcpProbe::wasRefused(std::size_t question) const {
  if (question >= asked_.size() || !asked_[question].fd) return false;
  const Asked& asked = asked_[question];
  const auto raw = openProbeSocket(asked.target.address.family(), SOCK_RAW, IPPROTO_TCP, options_);
  SocketAddress source;
  if (!raw || getsockname(asked.fd.get(), source.get(), &source.length) != 0) return false;
  constexpr std::uint8_t kHeaderBytes = 20;
  constexpr std::uint8_t kSyn = 0x02;
  std::array<std::uint8_t, kHeaderBytes> segment{};
  const std::uint16_t from = portOf(source);
  os::fillRandom(std::span{segment}.subspan(4, 4));
  segment[0] = static_cast<std::uint8_t>(from >> 8);
  segment[1] = static_cast<std::uint8_t>(from & 0xff);
  segment[2] = static_cast<std::uint8_t>(asked.target.port >> 8);
  segment[3] = static_cast<std::uint8_t>(asked.target.port & 0xff);
  segment[12] = kHeaderBytes / 4 << 4;
  segment[13] = kSyn;
  const SocketAddress to = toSocketAddress({asked.target.address, 0}, options_.device);
  return sendto(raw->get(), segment.data(), segment.size(), MSG_NOSIGNAL, to.get(), to.length) < 0 &&
         notSent(asked.target).error().kind == ErrorKind::refused;
}

}  // namespace wgsteer::health
