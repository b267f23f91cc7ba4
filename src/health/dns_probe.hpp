// SPDX-License-Identifier: GPL-2.0-or-later
// A DNS query (RFC 1035) for the root's name servers, which every server can answer or refuse. Any answer counts that
// has our identifier and question and comes from the queried address and port; the source port is random, too.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "health/probe_socket.hpp"

namespace wgsteer::health {

/// "." NS IN, recursion desired.
std::vector<std::uint8_t> dnsQuery(std::uint16_t id);
/// Whether the message answers exactly that query, with any result.
bool isDnsAnswer(std::span<const std::uint8_t> message, std::uint16_t id);

class DnsProbe {
 public:
  explicit DnsProbe(const ProbeOptions& options) : options_(options) {}
  Status ask(std::size_t question, const Endpoint& target, const os::Poller& poller);
  void collect(std::size_t question, std::vector<Reply>& replies);
  /// ask() already reports everything that was refused.
  bool wasRefused(std::size_t) const { return false; }

 private:
  struct Asked {
    os::Fd fd;
    std::uint16_t id = 0;
  };
  ProbeOptions options_;
  std::vector<Asked> asked_;
};

}  // namespace wgsteer::health
