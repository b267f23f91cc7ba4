// SPDX-License-Identifier: GPL-2.0-or-later
// A router whose peers have host names, and the name server that it asks.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "wans.hpp"

namespace wgsteer::bench {

/// At 127.0.0.1 of its namespace. That nobody has an IPv6 address, and a name that is not the benchmark's none at all,
/// it says at once, and what it has said once it says again at once.
class NameServer {
 public:
  explicit NameServer(const Netns& netns);
  struct Question {
    std::string message, from, name;
    std::int64_t seen = 0;  ///< when
  };
  /// The question for an IPv4 address that has waited longest, of those whose asker still waits; each name once. Dies
  /// when there is none for a minute.
  Question next();
  void answer(const Question& question, const std::string& address);
  /// Takes what has been asked by now, and answers what next() would not hand out.
  void serve();

 private:
  /// False: nothing came within so many milliseconds.
  bool receive(int milliseconds);
  void reply(const Question& question, const std::string& record) const;
  os::Fd socket_;
  std::deque<Question> waiting_;
  std::map<std::string, std::string> answered_;  ///< records by name
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
