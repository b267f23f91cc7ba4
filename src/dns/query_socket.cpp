// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/query_socket.hpp"

#include <cerrno>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace wgsteer::dns {

namespace {

std::optional<Address> addressOf(const sockaddr* server, ares_socklen_t length) {
  if (server->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in v4{};
    std::memcpy(&v4, server, sizeof v4);
    return Address::fromBytes({reinterpret_cast<const std::uint8_t*>(&v4.sin_addr), 4});
  }
  if (server->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, server, sizeof v6);
    return Address::fromBytes(v6.sin6_addr.s6_addr);
  }
  return std::nullopt;
}

}  // namespace

bool QuerySockets::isHere(const Address& server) const {
  return server.isLoopback() || server.isUnspecified() || (isOwn_ && isOwn_(server));
}

bool QuerySockets::note(const std::string& what) {
  error_ = what + ": " + std::strerror(errno);
  return false;
}

bool QuerySockets::prepare(int descriptor, const Address& server) {
  if (isHere(server)) return true;
  if (mark_.value != 0 && setsockopt(descriptor, SOL_SOCKET, SO_MARK, &mark_.value, sizeof mark_.value) != 0)
    return note("SO_MARK " + hex(mark_.value));
  if (!device_.empty() &&
      setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, device_.c_str(), static_cast<socklen_t>(device_.size())) != 0)
    return note("SO_BINDTODEVICE " + device_);
  return true;
}

int QuerySockets::connect(int descriptor, const sockaddr* server, ares_socklen_t length) {
  const auto address = addressOf(server, length);
  // Before connect(2), which looks up the route and chooses the source. Without its mark, a query must not leave at
  // all.
  if (!address || !prepare(descriptor, *address)) {
    errno = EACCES;  // any error but EINPROGRESS
    return -1;
  }
  int result = -1;
  if (address->family() == Family::v6 && address->isLinkLocal() && !device_.empty()) {
    // Routers advertise such servers (RFC 8106); c-ares 1.18 does not support scopes.
    sockaddr_in6 scoped{};
    std::memcpy(&scoped, server, sizeof scoped);
    scoped.sin6_scope_id = if_nametoindex(device_.c_str());
    result = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&scoped), sizeof scoped);
  } else {
    result = ::connect(descriptor, server, length);
  }
  if (result != 0 && errno != EINPROGRESS) {
    const int code = errno;
    note("connect to " + address->toString());
    errno = code;
  }
  return result;
}

void QuerySockets::attach(ares_channel channel) {
  static constexpr ares_socket_functions kFunctions{
      .asocket = [](int family, int type, int protocol, void*) -> ares_socket_t {
        return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
      },
      .aclose = [](ares_socket_t descriptor, void*) { return ::close(descriptor); },
      .aconnect = [](ares_socket_t descriptor, const sockaddr* server, ares_socklen_t length,
                     void* self) { return static_cast<QuerySockets*>(self)->connect(descriptor, server, length); },
      .arecvfrom = [](ares_socket_t descriptor, void* data, std::size_t size, int flags, sockaddr* from,
                      ares_socklen_t* fromLength, void* self) -> ares_ssize_t {
        auto& budget = static_cast<QuerySockets*>(self)->budget_;
        if (budget == 0) {
          errno = EAGAIN;  // epoll will report the rest again
          return -1;
        }
        --budget;
        return ::recvfrom(descriptor, data, size, flags, from, fromLength);
      },
      .asendv = [](ares_socket_t descriptor, const iovec* parts, int count, void*) -> ares_ssize_t {
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(parts);
        message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
        return ::sendmsg(descriptor, &message, MSG_NOSIGNAL);
      },
  };
  ares_set_socket_functions(channel, &kFunctions, this);
}

}  // namespace wgsteer::dns
