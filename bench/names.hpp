// SPDX-License-Identifier: GPL-2.0-or-later
// A router whose peers have host names, and the name server that it asks.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "wans.hpp"

namespace wgsteer::bench {

/// At 127.0.0.1 of its namespace. That nobody has an IPv6 address it says at once.
class NameServer {
 public:
  explicit NameServer(const Netns& netns);
  /// Questions for IPv4 addresses, as they come; dies when there is none for ten seconds.
  struct Question {
    std::string message, from;
  };
  Question next();
  void answer(const Question& question, const std::string& address) const;

 private:
  void reply(const Question& question, const std::string& record) const;
  os::Fd socket_;
  std::deque<Question> waiting_;
};

/// Two WANs, tunnels, the daemon. The first peers of the first tunnel, `names` of them, have host names that nobody has
/// answered for yet.
class NamedRouter {
 public:
  NamedRouter(const Options& options, const Tunnels& tunnels, int names);
  const Netns& netns() const { return netns_; }
  const Process& daemon() const { return daemon_; }
  double startedIn() const { return startedIn_; }  ///< ms
  /// From the datagram with an answer to the announcement of its element in nftables, us.
  double answerToElement();

 private:
  Netns netns_;
  Process tunnels_;
  NameServer server_;
  std::unique_ptr<RawSocket> observer_;
  int answered_ = 0;
  double startedIn_ = 0;
  Process daemon_;
};

/// Announced additions of elements.
bool isElementAdded(const nlmsghdr* message);

}  // namespace wgsteer::bench
