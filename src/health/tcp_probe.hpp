// SPDX-License-Identifier: GPL-2.0-or-later
// A TCP connection. Accepted or refused are both answers: the kernel believes either only with our random sequence
// number in it. Unreachable, from a router on the way, is none; refused by this host itself, which looks like a refusal
// from afar but for the address that says so, is not even a question. Nothing is sent over a connection, and it is
// reset at once.
#pragma once

#include <vector>

#include "health/probe_socket.hpp"

namespace wgsteer::health {

class TcpProbe {
 public:
  explicit TcpProbe(const ProbeOptions& options) : options_(options) {}
  Status ask(std::size_t question, const Endpoint& target, int epoll);
  void collect(std::size_t question, std::vector<Reply>& replies);
  /// Whether a question without an answer was not even let out. TCP does not tell what it is refused, and of IPv6's
  /// errors none that this host sends reaches a socket that is bound to a device (Linux 6.18). So the same is tried by
  /// a raw socket, which hears of it; it has no checksum, and if it does get out, whoever gets it drops it.
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
