// SPDX-License-Identifier: GPL-2.0-or-later
// A netlink socket for requests and nothing else: on a socket that also receives events, the ack of a request is lost
// when the events overrun it (seen on 6.18).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "wgsteer/result.hpp"

#include "netlink/wire.hpp"
#include "os/fd.hpp"

namespace wgsteer::netlink {

class RequestSocket {
 public:
  using Handler = std::function<void(const nlmsghdr*)>;

  /// `protocol`: NETLINK_ROUTE, NETLINK_GENERIC. Strict checking of dump requests is on, so that the kernel filters.
  static Result<RequestSocket> open(int protocol);

  /// Notifications caused by our requests carry it as their sender.
  std::uint32_t portId() const { return portId_; }

  /// Sends and waits for the ack. `what` is the request in `ip` spelling, called only on failure.
  Status request(Message& message, const std::function<std::string()>& what);
  /// Passes on every message of the answer. ErrorKind::overrun if the dumped objects changed meanwhile: try again.
  Status dump(Message& message, const Handler& onMessage, const std::function<std::string()>& what);
  /// Wipes what was received last: for answers that contain keys.
  void wipe();
  /// Sends a request that has one message as its answer.
  Status ask(Message& message, const Handler& onMessage, const std::function<std::string()>& what);

  /// Sends a batch, whose messages are numbered from nextSequence() to `last`, as one datagram, and passes on every
  /// answer to one of them. nfnetlink has sent all of them before send() returns, so there is no waiting.
  Status exchange(std::span<const std::byte> batch, std::uint32_t last,
                  const std::function<void(const Answer&)>& onAnswer);
  /// Sends prepared requests as one datagram, and passes on the errors, each with the index of its request. The kernel
  /// continues after an error; the last message has NLM_F_ACK. Sequence numbers are written into the batch.
  Status requestAll(std::span<std::byte> batch, const std::function<void(std::size_t, const Answer&)>& onError);
  std::uint32_t nextSequence() const { return sequence_ + 1; }

 private:
  RequestSocket() = default;
  Status send(Message& message);
  Status converse(Message& message, const Handler& onMessage);

  os::Fd socket_;
  std::uint32_t portId_ = 0;
  std::uint32_t sequence_ = 0;  // requests start at 1: notifications have 0
  std::vector<std::byte> input_;
  std::size_t sendBuffer_ = 0;  // the size that exchange() has requested so far
};

/// Repeats a dump from its beginning while it is interrupted, within reason: on a busy host, the dumped objects change
/// meanwhile more than once.
Status dumpUntilWhole(const std::function<Status()>& attempt);

}  // namespace wgsteer::netlink
