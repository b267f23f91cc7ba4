// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/event_socket.hpp"

#include <cerrno>
#include <cstddef>
#include <sys/socket.h>

namespace wgsteer::netlink {

namespace {

constexpr int kReceiveBuffer = 8 << 20;
constexpr std::size_t kInputSize = 32768;

}  // namespace

Result<EventSocket> EventSocket::open(int protocol, std::initializer_list<int> groups) {
  EventSocket made;
  made.socket_ = os::Fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol)};
  if (!made.socket_) return failWith(errno, "netlink event socket");
  const int socket = made.socket_.get();
  if (::setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0)
    (void)::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0)
    return failWith(errno, "netlink event socket");
  for (const int group : groups)
    if (auto joined = made.join(group); !joined) return std::unexpected(joined.error());
  made.input_.resize(kInputSize);
  return made;
}

Status EventSocket::join(int group) {
  if (::setsockopt(socket_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
    return failWith(errno, "netlink group " + std::to_string(group));
  return {};
}

Status EventSocket::attach(std::vector<sock_filter> program) {
  const sock_fprog all{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof all) != 0)
    return failWith(errno, "netlink event filter");
  return {};
}

void EventSocket::drain(const std::function<void(const nlmsghdr*)>& onMessage, const std::function<void()>& onOverrun) {
  while (true) {
    sockaddr_nl sender{};
    socklen_t length = sizeof sender;
    const ssize_t size = ::recvfrom(socket_.get(), input_.data(), input_.size(), MSG_DONTWAIT | MSG_TRUNC,
                                    reinterpret_cast<sockaddr*>(&sender), &length);
    if (size < 0) {
      if (errno == EINTR) continue;
      // Reported once; what was queued before can still be read.
      if (errno == ENOBUFS) {
        onOverrun();
        continue;
      }
      return;
    }
    if (sender.nl_pid != 0) continue;  // only the kernel announces
    if (static_cast<std::size_t>(size) > input_.size()) {
      onOverrun();
      continue;
    }
    forEachMessage(std::span{input_}.first(static_cast<std::size_t>(size)), onMessage);
  }
}

}  // namespace wgsteer::netlink
