// SPDX-License-Identifier: GPL-2.0-or-later
// The sockets with which c-ares sends queries: marked, so that a query leaves by a physical WAN and never through the
// tunnel that needs its answer.
#pragma once

#include <ares.h>
#include <functional>
#include <string>
#include <utility>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"

namespace wgsteer::dns {

/// Must outlive the channels to which it is attached.
class QuerySockets {
 public:
  using IsOwn = std::function<bool(const Address&)>;

  /// `mark` 0 and an empty `device` mean none. Neither is set for a server on this host: what it does with the query is
  /// up to it, and the answer to a marked query would not find its way back.
  QuerySockets(Mark mark, IfName device, IsOwn isOwn)
      : mark_(mark), device_(std::move(device)), isOwn_(std::move(isOwn)) {}

  void attach(ares_channel channel);

  /// Renews the number of datagrams that may be read until the next call, so that a flood of bogus answers gets no more
  /// of the daemon's time than that.
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
