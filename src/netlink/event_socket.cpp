// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/event_socket.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
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
    if (::setsockopt(socket, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
      return failWith(errno, "netlink group " + std::to_string(group));
  made.input_.resize(kInputSize);
  return made;
}

Status EventSocket::filter(std::uint32_t ownPort, Routes routes) {
  constexpr std::uint32_t kType = offsetof(nlmsghdr, nlmsg_type);
  constexpr std::uint32_t kPort = offsetof(nlmsghdr, nlmsg_pid);
  constexpr std::uint32_t kDestinationLength = sizeof(nlmsghdr) + offsetof(rtmsg, rtm_dst_len);
  constexpr std::uint32_t kTable = sizeof(nlmsghdr) + offsetof(rtmsg, rtm_table);
  constexpr std::uint32_t kAll = 0xffffffff;
  // BPF loads are in network order, the message is in host order: hence htons and htonl. Each announcement is one
  // datagram, those of a transaction in nftables come with one port.
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kPort),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(ownPort), 8, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kType),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 4),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kDestinationLength),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kTable),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RT_TABLE_COMPAT, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, kAll),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  if (routes == Routes::all) code[2] = BPF_STMT(BPF_RET | BPF_K, kAll);
  const sock_fprog program{.len = static_cast<unsigned short>(std::size(code)), .filter = code};
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
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
      // Told once; what was queued before is still to be read.
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
