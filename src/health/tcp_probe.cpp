// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/tcp_probe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/epoll.h>

namespace wgsteer::health {

namespace {

/// Types and codes of RFC 792, 1812 and 4443 for what firewalls forbid. Not "unreachable": the kernel says that by
/// itself, in our name, of a gateway that does not answer (ipv4_link_failure, ip6_link_failure).
bool isRefusal(const sock_extended_err& said) {
  constexpr std::array<std::uint8_t, 5> kCodes4{2, 3, 9, 10, 13};
  constexpr std::array<std::uint8_t, 3> kCodes6{1, 4, 5};
  constexpr std::uint8_t kUnreachable4 = 3;
  constexpr std::uint8_t kUnreachable6 = 1;
  if (said.ee_origin == SO_EE_ORIGIN_ICMP)
    return said.ee_type == kUnreachable4 && std::ranges::find(kCodes4, said.ee_code) != kCodes4.end();
  return said.ee_origin == SO_EE_ORIGIN_ICMP6 && said.ee_type == kUnreachable6 &&
         std::ranges::find(kCodes6, said.ee_code) != kCodes6.end();
}

/// Compares addresses alone.
bool sameHost(const sockaddr* offender, const SocketAddress& own) {
  if (offender->sa_family != own.storage.ss_family) return false;
  const std::size_t at =
      own.storage.ss_family == AF_INET ? offsetof(sockaddr_in, sin_addr) : offsetof(sockaddr_in6, sin6_addr);
  const std::size_t size = own.storage.ss_family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
  return std::memcmp(reinterpret_cast<const char*>(offender) + at, reinterpret_cast<const char*>(&own.storage) + at,
                     size) == 0;
}

enum class Said : std::uint8_t { nothing, something, refusal };

/// What ICMP has said of the connection. TCP keeps that since Linux 5.8; before, a refusal of our own looks like one
/// from afar.
Said errorOf(int descriptor, const SocketAddress& own) {
  alignas(cmsghdr) std::array<char, 512> control{};
  msghdr message{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return Said::nothing;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    const bool ip = part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR;
    const bool ip6 = part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR;
    if ((!ip && !ip6) || part->cmsg_len < CMSG_LEN(sizeof(sock_extended_err) + sizeof(sockaddr_in))) continue;
    const auto* said = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(part));
    if (isRefusal(*said) && sameHost(SO_EE_OFFENDER(said), own)) return Said::refusal;
  }
  return Said::something;
}

}  // namespace

Status TcpProbe::ask(std::size_t question, const ProbeTarget& target, int epoll) {
  asked_.resize(std::max(asked_.size(), question + 1));
  Asked& asked = asked_[question];
  const bool v4 = target.address.family() == Family::v4;
  auto fd = openProbeSocket(target.address.family(), SOCK_STREAM, IPPROTO_TCP, options_);
  if (!fd) return std::unexpected(std::move(fd.error()));
  // Closed by a reset, so that neither end keeps anything.
  const linger atOnce{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd->get(), SOL_SOCKET, SO_LINGER, &atOnce, sizeof atOnce);
  const int on = 1;
  setsockopt(fd->get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
  const SocketAddress to = toSocketAddress(target, options_.device);
  // Non-blocking: even a refusal comes later.
  if (connect(fd->get(), to.get(), to.length) != 0 && errno != EINPROGRESS) return notSent(target);
  getsockname(fd->get(), asked.source.get(), &asked.source.length);
  asked.fd = std::move(*fd);
  return watchFor(epoll, asked.fd.get(), EPOLLOUT, question);
}

void TcpProbe::collect(std::size_t question, std::vector<Reply>& replies) {
  if (question >= asked_.size() || !asked_[question].fd) return;
  Asked& asked = asked_[question];
  const Said said = errorOf(asked.fd.get(), asked.source);
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(asked.fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  asked.fd.reset();
  const bool accepted = error == 0 && said == Said::nothing;
  const bool refused = said == Said::refusal;
  replies.push_back({question, !refused && (accepted || error == ECONNREFUSED), refused});
}

}  // namespace wgsteer::health
