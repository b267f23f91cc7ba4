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
/// Who made the commit, from NFT_MSG_NEWGEN: "nft (pid 123)", empty when not known.
std::string committerOf(const nlmsghdr* message);

class Events {
 public:
  /// `ownPort`: that of the socket from which our own commits are sent; the kernel's filter drops their notifications.
  static Result<Events> subscribe(std::uint32_t ownPort);

  int descriptor() const { return socket_.descriptor(); }
  /// Reads everything queued: true if our table was changed, or events were lost.
  bool drain();
  /// Whether the last drain() found that events were lost.
  bool lost() const { return lost_; }
  /// "nft (pid 123)", who committed the last change that drain() reported; empty when not known.
  const std::string& lastActor() const { return actor_; }

 private:
  explicit Events(netlink::EventSocket socket) : socket_(std::move(socket)) {}
  void take(const nlmsghdr* message);

  netlink::EventSocket socket_;
  bool touched_ = false;  ///< since the last drain()
  bool lost_ = false;
  bool actorPending_ = false;  ///< our table was changed in a commit whose end has not been read yet
  std::string actor_;
};

}  // namespace wgsteer::nft
