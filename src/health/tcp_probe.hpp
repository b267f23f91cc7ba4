// SPDX-License-Identifier: GPL-2.0-or-later
// A TCP connection. Both accepted and refused are answers: the kernel accepts either only with our random sequence
// number. Unreachable, from a router along the path, is not an answer. A refusal by this host itself, which looks like
// a remote one except for its sender, means that the probe was blocked. Nothing is sent over a connection, and it is
// reset at once.
#pragma once

#include <vector>

#include "health/probe_socket.hpp"

namespace wgsteer::health {

class TcpProbe {
 public:
  explicit TcpProbe(const ProbeOptions& options) : options_(options) {}
  Status ask(std::size_t question, const Endpoint& target, const os::Poller& poller);
  void collect(std::size_t question, std::vector<Reply>& replies);
  /// Whether an unanswered probe was blocked by this host. TCP does not report that a packet was blocked, and no IPv6
  /// error that this host itself sends reaches a socket bound to a device (Linux 6.18). So the probe is repeated
  /// through a raw socket, which does report it, without a checksum, so that any receiver drops it if it does get out.
  bool wasRefused(std::size_t question) const;

 private:
  struct Asked {
    os::Fd fd;
    Endpoint target{};
  };
  ProbeOptions options_;
  std::vector<Asked> asked_;
};

}  // namespace wgsteer::health
