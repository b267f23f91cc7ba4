// SPDX-License-Identifier: GPL-2.0-or-later
// The sockets that c-ares asks with: marked, so that a query leaves by a physical WAN and never through the tunnel that
// waits for its answer.
#pragma once

#include <ares.h>
#include <functional>
#include <string>
#include <utility>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"

namespace wgsteer::dns {

/// Must outlive the channels that it is attached to.
class QuerySockets {
 public:
  using IsOwn = std::function<bool(const Address&)>;

  /// `mark` 0 and an empty `device` ask for nothing. Neither is set for a server on this host: what it does with the
  /// query is its own business, and the answer of a marked one would have no way back.
  QuerySockets(Mark mark, IfName device, IsOwn isOwn)
      : mark_(mark), device_(std::move(device)), isOwn_(std::move(isOwn)) {}

  void attach(ares_channel channel);

  /// Datagrams that may be read until this is called again: whoever floods us with wrong answers gets no more of the
  /// daemon's time than that.
  void beginRound() { budget_ = kBudget; }
  /// What kept a query from leaving since this was last called: "SO_MARK 0x10000000: Operation not permitted", or
  /// empty.
  std::string takeError() { return std::exchange(error_, {}); }

 private:
  static constexpr unsigned kBudget = 64;

  bool isHere(const Address& server) const;
  bool prepare(int descriptor, const Address& server);
  int connect(int descriptor, const sockaddr* server, ares_socklen_t length);
  bool note(const std::string& what);

  Mark mark_;
  IfName device_;
  IsOwn isOwn_;
  unsigned budget_ = kBudget;
  std::string error_;
};

}  // namespace wgsteer::dns
