// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/request_socket.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <sys/time.h>
#include <utility>

namespace wgsteer::netlink {

namespace {

/// The kernel fills at most 32 KB per datagram of a dump; anything larger is truncated and reported by MSG_TRUNC.
constexpr std::size_t kInputSize = 65536;
/// An rtnetlink answer comes before send() returns. We wait only if the kernel is stuck.
constexpr timeval kPatience{.tv_sec = 5, .tv_usec = 0};

void setOption(int socket, int option, int value) {
  // Each is an improvement that an older kernel may not know (EXT_ACK 4.12, STRICT_CHK 4.20).
  (void)::setsockopt(socket, SOL_NETLINK, option, &value, sizeof value);
}

}  // namespace

Result<RequestSocket> RequestSocket::open(int protocol) {
  RequestSocket made;
  made.socket_ = os::Fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)};
  if (!made.socket_) return failWith(errno, "netlink socket");
  const int socket = made.socket_.get();
  setOption(socket, NETLINK_EXT_ACK, 1);
  setOption(socket, NETLINK_CAP_ACK, 1);
  setOption(socket, NETLINK_GET_STRICT_CHK, 1);
  (void)::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  socklen_t length = sizeof self;
  auto* address = reinterpret_cast<sockaddr*>(&self);
  if (::bind(socket, address, length) < 0 || ::getsockname(socket, address, &length) < 0)
    return failWith(errno, "netlink socket");
  // Once connected, only the kernel can send to the socket (netlink_getsockbyportid), so answers are genuine.
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0)
    return failWith(errno, "netlink socket");
  made.portId_ = self.nl_pid;
  made.input_.resize(kInputSize);
  return made;
}

Status RequestSocket::send(Message& message) {
  message.header()->nlmsg_seq = ++sequence_;
  const auto bytes = message.finished();
  while (::send(socket_.get(), bytes.data(), bytes.size(), 0) < 0)
    if (errno != EINTR) return failWith(errno, "netlink send");
  return {};
}

/// Reads until the request is answered: by an ack, an error, or the end of a dump.
Status RequestSocket::converse(Message& message, const Handler& onMessage) {
  if (!message.whole()) return failWith(EMSGSIZE, "netlink send");
  if (auto sent = send(message); !sent) return sent;
  bool done = false;
  bool interrupted = false;
  Status outcome;
  const auto take = [&](const nlmsghdr* answer) {
    if (answer->nlmsg_seq != sequence_) return;  // left over from an abandoned request
    interrupted |= (answer->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    if (const auto told = answerIn(answer)) {
      done = true;
      if (told->error > 0) outcome = failWith(told->error, "", told->text);
    } else if (answer->nlmsg_type >= NLMSG_MIN_TYPE) {
      onMessage(answer);
    }
  };
  while (!done) {
    const ssize_t size = ::recv(socket_.get(), input_.data(), input_.size(), MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failWith(errno, "netlink receive");
    if (static_cast<std::size_t>(size) > input_.size()) return fail(ErrorKind::overrun, "netlink: answer truncated");
    forEachMessage(std::span{input_}.first(static_cast<std::size_t>(size)), take);
  }
  if (outcome && interrupted) return fail(ErrorKind::overrun, "dump interrupted");
  return outcome;
}

namespace {

Status named(Status outcome, const std::function<std::string()>& what) {
  if (outcome) return outcome;
  Error error = outcome.error();
  error.what = what() + ": " + (error.code != 0 ? std::strerror(error.code) : error.what);
  return std::unexpected(std::move(error));
}

}  // namespace

Status RequestSocket::request(Message& message, const std::function<std::string()>& what) {
  return ask(message, [](const nlmsghdr*) {}, what);
}

Status RequestSocket::ask(Message& message, const Handler& onMessage, const std::function<std::string()>& what) {
  message.header()->nlmsg_flags |= NLM_F_ACK;
  return named(converse(message, onMessage), what);
}

Status RequestSocket::dump(Message& message, const Handler& onMessage, const std::function<std::string()>& what) {
  message.header()->nlmsg_flags |= NLM_F_DUMP;
  return named(converse(message, onMessage), what);
}

Status RequestSocket::exchange(std::span<const std::byte> batch, std::uint32_t last,
                               const std::function<void(const Answer&)>& onAnswer) {
  const std::uint32_t first = std::exchange(sequence_, last) + 1;
  if (batch.size() > sendBuffer_) {
    // A datagram has to fit into the send buffer, or it is EMSGSIZE.
    const int size = static_cast<int>(batch.size());
    (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    sendBuffer_ = batch.size();
  }
  while (::send(socket_.get(), batch.data(), batch.size(), 0) < 0)
    if (errno != EINTR) return failWith(errno, "netlink send");
  bool lost = false;
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), input_.data(), input_.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != ENOBUFS) break;
    // More errors than the buffer holds: reported once, the first ones can still be read.
    lost |= size < 0 || static_cast<std::size_t>(size) > input_.size();
    if (size < 0 || static_cast<std::size_t>(size) > input_.size()) continue;
    forEachMessage(std::span{input_}.first(static_cast<std::size_t>(size)), [&](const nlmsghdr* message) {
      const auto answer = answerIn(message);
      if (answer && answer->sequence - first <= last - first) onAnswer(*answer);
    });
  }
  if (errno != EAGAIN && errno != EWOULDBLOCK) return failWith(errno, "netlink receive");
  return lost ? fail(ErrorKind::overrun, "netlink: answers lost") : Status{};
}

Status RequestSocket::requestAll(std::span<std::byte> batch,
                                 const std::function<void(std::size_t, const Answer&)>& onError) {
  const std::uint32_t first = sequence_ + 1;
  for (std::size_t offset = 0; offset < batch.size();) {
    auto* message = reinterpret_cast<nlmsghdr*>(batch.data() + offset);
    message->nlmsg_seq = ++sequence_;
    offset += aligned(message->nlmsg_len);
  }
  while (::send(socket_.get(), batch.data(), batch.size(), 0) < 0)
    if (errno != EINTR) return failWith(errno, "netlink send");
  bool answered = false;
  while (!answered) {
    const ssize_t size = ::recv(socket_.get(), input_.data(), input_.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failWith(errno, "netlink receive");
    forEachMessage(std::span{input_}.first(static_cast<std::size_t>(size)), [&](const nlmsghdr* message) {
      const auto answer = answerIn(message);
      if (!answer || answer->sequence - first > sequence_ - first) return;
      answered |= answer->sequence == sequence_;
      if (answer->error > 0) onError(answer->sequence - first, *answer);
    });
  }
  return {};
}

Status dumpUntilWhole(const std::function<Status()>& attempt) {
  constexpr int kAttempts = 8;
  Status outcome;
  for (int i = 0; i < kAttempts; ++i) {
    outcome = attempt();
    if (outcome || outcome.error().kind != ErrorKind::overrun) break;
  }
  return outcome;
}

void RequestSocket::wipe() { explicit_bzero(input_.data(), input_.size()); }

}  // namespace wgsteer::netlink
