// SPDX-License-Identifier: GPL-2.0-or-later
// Requests to nf_tables: dumps, and transactions with their errors mapped to objects. One socket for the life of the
// program: closing one waits for a worker of the kernel (7 ms, 6.18).
#pragma once

#include <cstdint>
#include <functional>

#include "wgsteer/result.hpp"

#include "batch.hpp"
#include "netlink/request_socket.hpp"

namespace wgsteer::nft {

class Channel {
 public:
  using Fill = std::function<void(netlink::Message&)>;
  using Handler = netlink::RequestSocket::Handler;

  static Result<Channel> open();

  /// The kernel stamps notifications of our commits with it.
  std::uint32_t portId() const { return socket_.portId(); }
  Batch newBatch() const { return Batch(socket_.nextSequence()); }

  /// One object. `type` is NFT_MSG_GET*, `fill` adds the attributes.
  Status get(std::uint16_t type, const Fill& fill, const Handler& onMessage, const char* what);
  /// All objects. ErrorKind::overrun when the dump was interrupted by somebody's commit.
  Status dump(std::uint16_t type, const Fill& fill, const Handler& onMessage, const char* what);
  /// Sends all of it at once; the error is that of the first message refused.
  Status commit(Batch& batch);

 private:
  explicit Channel(netlink::RequestSocket socket) : socket_(std::move(socket)) {}

  netlink::RequestSocket socket_;
};

}  // namespace wgsteer::nft
