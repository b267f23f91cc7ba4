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
  Status ask(std::size_t question, const ProbeTarget& target, int epoll);
  void collect(std::size_t question, std::vector<Reply>& replies);

 private:
  struct Asked {
    os::Fd fd;
    SocketAddress source;
  };
  ProbeOptions options_;
  std::vector<Asked> asked_;
};

}  // namespace wgsteer::health
