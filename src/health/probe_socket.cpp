// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/probe_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ifaddrs.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string>

namespace wgsteer::health {

namespace {

constexpr std::uint16_t kDnsPort = 53;
/// The port on which most hosts that answer at all do so, and which few networks block.
constexpr std::uint16_t kTcpPort = 443;

std::unexpected<Error> failed(const std::string& what) {
  return fail(errno == ENODEV ? ErrorKind::notThere : ErrorKind::io, what + ": " + std::strerror(errno), errno);
}

bool set(int descriptor, int level, int option, int value) {
  return setsockopt(descriptor, level, option, &value, sizeof value) == 0;
}

/// Types and codes of RFC 792, 1812 and 4443 for what firewalls forbid. Not "unreachable": the kernel sends that
/// itself, from our address, for a gateway that does not answer (ipv4_link_failure, ip6_link_failure).
bool isRefusal(const sock_extended_err& said) {
  constexpr auto kCodes4 = std::to_array<std::uint8_t>({2, 3, 9, 10, 13});
  constexpr auto kCodes6 = std::to_array<std::uint8_t>({1, 4, 5});
  constexpr std::uint8_t kUnreachable4 = 3;
  constexpr std::uint8_t kUnreachable6 = 1;
  if (said.ee_origin == SO_EE_ORIGIN_ICMP)
    return said.ee_type == kUnreachable4 && std::ranges::find(kCodes4, said.ee_code) != kCodes4.end();
  return said.ee_origin == SO_EE_ORIGIN_ICMP6 && said.ee_type == kUnreachable6 &&
         std::ranges::find(kCodes6, said.ee_code) != kCodes6.end();
}

/// Compares only addresses.
bool sameHost(const sockaddr* left, const sockaddr* right) {
  if (right == nullptr || left->sa_family != right->sa_family) return false;
  const bool v4 = left->sa_family == AF_INET;
  const std::size_t at = v4 ? offsetof(sockaddr_in, sin_addr) : offsetof(sockaddr_in6, sin6_addr);
  return std::memcmp(reinterpret_cast<const char*>(left) + at, reinterpret_cast<const char*>(right) + at,
                     v4 ? sizeof(in_addr) : sizeof(in6_addr)) == 0;
}

bool isOfThisHost(const sockaddr* address) {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return false;
  bool found = false;
  for (const ifaddrs* each = all; each != nullptr && !found; each = each->ifa_next)
    found = sameHost(address, each->ifa_addr);
  freeifaddrs(all);
  return found;
}

}  // namespace

std::vector<Endpoint> probeTargets(const WanConfig& wan) {
  const std::uint16_t port = wan.trackMethod == TrackMethod::dns   ? kDnsPort
                             : wan.trackMethod == TrackMethod::tcp ? kTcpPort
                                                                   : 0;
  std::vector<Endpoint> targets = wan.trackIp;
  for (Endpoint& target : targets)
    if (target.port == 0) target.port = port;
  return targets;
}

Result<os::Fd> openProbeSocket(Family family, int type, int protocol, const ProbeOptions& options) {
  const bool v4 = family == Family::v4;
  os::Fd fd{socket(v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol)};
  if (!fd) return failed("socket");
  // Bound before anything is sent or heard: otherwise a raw socket would get packets from other devices.
  if (setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, options.device.c_str(),
                 static_cast<socklen_t>(options.device.size())) != 0)
    return failed("bind to device " + options.device);
  const std::uint32_t mark = options.mark.value;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) return failed("set mark " + hex(mark));
  const int ttl = static_cast<int>(options.maxTtl);
  if (!set(fd.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TTL : IPV6_UNICAST_HOPS, ttl))
    return failed("set max_ttl");
  return fd;
}

const sockaddr* SocketAddress::get() const { return reinterpret_cast<const sockaddr*>(&storage); }
sockaddr* SocketAddress::get() { return reinterpret_cast<sockaddr*>(&storage); }

SocketAddress toSocketAddress(const Endpoint& target, const IfName& device) {
  SocketAddress made;
  const auto bytes = target.address.bytes();
  if (target.address.family() == Family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(target.port);
    std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&made.storage, &v4, sizeof v4);
    made.length = sizeof v4;
    return made;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(target.port);
  std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
  // The target may be a gateway.
  if (target.address.isLinkLocal()) v6.sin6_scope_id = if_nametoindex(device.c_str());
  std::memcpy(&made.storage, &v6, sizeof v6);
  made.length = sizeof v6;
  return made;
}

std::uint16_t portOf(const SocketAddress& address) {
  in_port_t port = 0;
  const std::size_t at =
      address.storage.ss_family == AF_INET ? offsetof(sockaddr_in, sin_port) : offsetof(sockaddr_in6, sin6_port);
  std::memcpy(&port, reinterpret_cast<const char*>(&address.storage) + at, sizeof port);
  return ntohs(port);
}

bool isFrom(const SocketAddress& from, const Address& address) {
  std::array<std::uint8_t, 16> bytes{};
  if (from.storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &from.storage, sizeof v4);
    std::memcpy(bytes.data(), &v4.sin_addr, sizeof v4.sin_addr);
  } else if (from.storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &from.storage, sizeof v6);
    std::memcpy(bytes.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
  }
  const bool sameFamily = from.storage.ss_family == (address.family() == Family::v4 ? AF_INET : AF_INET6);
  const auto wanted = address.bytes();
  return sameFamily && std::equal(wanted.begin(), wanted.end(), bytes.begin());
}

std::unexpected<Error> notSent(const Endpoint& target) {
  const int code = errno;
  return fail(code == EPERM || code == EACCES ? ErrorKind::refused : ErrorKind::io,
              "send to " + target.address.toString() + ": " + std::strerror(code), code);
}

void keepErrors(int descriptor, Family family) {
  const bool v4 = family == Family::v4;
  set(descriptor, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, 1);
}

IcmpSaid takeError(int descriptor) {
  alignas(cmsghdr) std::array<char, 512> control{};
  msghdr message{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return IcmpSaid::nothing;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    const bool v4 = part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR;
    const bool v6 = part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR;
    const std::size_t offender = v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if ((!v4 && !v6) || part->cmsg_len < CMSG_LEN(sizeof(sock_extended_err) + offender)) continue;
    const auto* said = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(part));
    if (isRefusal(*said) && isOfThisHost(SO_EE_OFFENDER(said))) return IcmpSaid::refusal;
  }
  return IcmpSaid::something;
}

}  // namespace wgsteer::health
