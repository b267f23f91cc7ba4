// SPDX-License-Identifier: GPL-2.0-or-later
// A router whose peers have host names, and its name server.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "wans.hpp"

namespace wgsteer::bench {

/// At 127.0.0.1 of its namespace. It answers at once that names have no IPv6 address, and that names other than the
/// benchmark's have none at all; and it repeats earlier answers at once.
class NameServer {
 public:
  explicit NameServer(const Netns& netns);
  struct Question {
    std::string message, from, name;
    std::int64_t seen = 0;  ///< when
  };
  /// The oldest pending query for an IPv4 address whose sender is still waiting; each name once. Dies if there is none
  /// for a minute.
  Question next();
  void answer(const Question& question, const std::string& address);
  /// Receives pending queries, and answers those that next() would not return.
  void serve();

 private:
  /// False: nothing came within so many milliseconds.
  bool receive(int milliseconds);
  void reply(const Question& question, const std::string& record) const;
  os::Fd socket_;
  std::deque<Question> waiting_;
  std::map<std::string, std::string> answered_;  ///< records by name
};

/// Two WANs, tunnels, the daemon. The first peers of the first tunnel, `names` of them, have host names that have not
/// been answered yet.
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
