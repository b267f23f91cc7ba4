// SPDX-License-Identifier: GPL-2.0-or-later
// Notifications of nf_tables: whether another program changed our table, and which one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "wgsteer/result.hpp"

#include "netlink/event_socket.hpp"

namespace wgsteer::nft {

/// Whether a notification of nf_tables, other than NFT_MSG_NEWGEN, is about our table or something in it.
bool concernsOurTable(const nlmsghdr* message);
/// Whose commit it was, from NFT_MSG_NEWGEN: "nft (pid 123)", empty when not known.
std::string committerOf(const nlmsghdr* message);

class Events {
 public:
  /// `ownPort`: of the socket that our own commits are sent from; the kernel drops their notifications.
  static Result<Events> subscribe(std::uint32_t ownPort);

  int descriptor() const { return socket_.descriptor(); }
  /// Reads all that is queued: true if our table was touched, or events were lost.
  bool drain();
  /// Whether the last drain() found events to be lost.
  bool lost() const { return lost_; }
  /// "nft (pid 123)", the one who committed the last change that drain() reported; empty when not known.
  const std::string& lastActor() const { return actor_; }

 private:
  explicit Events(netlink::EventSocket socket) : socket_(std::move(socket)) {}
  void take(const nlmsghdr* message);

  netlink::EventSocket socket_;
  bool touched_ = false;  ///< since the last drain()
  bool lost_ = false;
  bool actorPending_ = false;  ///< our table was touched in a commit whose end was not yet read
  std::string actor_;
};

}  // namespace wgsteer::nft
