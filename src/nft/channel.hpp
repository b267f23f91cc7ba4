// SPDX-License-Identifier: GPL-2.0-or-later
// Requests to nf_tables: dumps, and transactions whose errors are mapped to objects. One socket for the lifetime of the
// program: closing one waits for a kernel worker (7 ms, 6.18).
#pragma once

#include <cstdint>
#include <functional>

#include "wgsteer/result.hpp"

#include "netlink/request_socket.hpp"
#include "nft/batch.hpp"

namespace wgsteer::nft {

class Channel {
 public:
  using Fill = std::function<void(netlink::Message&)>;
  using Handler = netlink::RequestSocket::Handler;

  static Result<Channel> open();

  /// The kernel puts it into the notifications of our commits.
  std::uint32_t portId() const { return socket_.portId(); }
  Batch newBatch() const { return Batch(socket_.nextSequence()); }

  /// Reads one object. `type` is NFT_MSG_GET*, `fill` adds the attributes.
  Status get(std::uint16_t type, const Fill& fill, const Handler& onMessage, const char* what);
  /// Reads all objects. ErrorKind::overrun if a commit interrupted the dump.
  Status dump(std::uint16_t type, const Fill& fill, const Handler& onMessage, const char* what);
  /// Sends the whole batch at once; the error is that of the first refused message.
  Status commit(Batch& batch);

 private:
  explicit Channel(netlink::RequestSocket socket) : socket_(std::move(socket)) {}

  netlink::RequestSocket socket_;
};

}  // namespace wgsteer::nft
