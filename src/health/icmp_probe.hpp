// SPDX-License-Identifier: GPL-2.0-or-later
// Echo requests (RFC 792, RFC 4443 section 4). IPv4: through ping sockets if the host permits them
// (net.ipv4.ping_group_range), otherwise through raw ones. IPv6: raw ones first, because its ping sockets do not report
// that a packet was blocked (icmpv6_push_pending_frames as of Linux 6.18).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "health/probe_socket.hpp"

namespace wgsteer::health {

struct EchoReply {
  std::uint16_t sequence = 0;
  std::span<const std::uint8_t> payload;
};
/// Parses a datagram from a socket. With `rawId` the socket is a raw one: an IPv4 datagram then starts with its header
/// (RFC 791), and the reply must have this identifier. nullopt if it is not an echo reply, or not ours.
std::optional<EchoReply> readEchoReply(Family family, std::span<const std::uint8_t> datagram,
                                       std::optional<std::uint16_t> rawId);

class IcmpProbe {
 public:
  explicit IcmpProbe(const ProbeOptions& options);
  /// Probes are numbered from 0 without gaps. The socket of the family is added to the poller with its first probe.
  Status ask(std::size_t question, const Endpoint& target, const os::Poller& poller);
  /// Collects replies on the socket through which the probe was sent.
  void collect(std::size_t question, std::vector<Reply>& replies);
  /// ask() already reports everything that was refused.
  bool wasRefused(std::size_t) const { return false; }

 private:
  using Nonce = std::array<std::uint8_t, kMinProbeSize>;
  struct Asked {
    Address target;
    Nonce nonce;
  };
  struct Socket {
    os::Fd fd;
    bool raw = false;
  };

  Status open(Family family, std::size_t question, const os::Poller& poller);
  std::vector<std::uint8_t> request(Family family, std::size_t question, const Nonce& nonce) const;
  bool answers(const EchoReply& reply, const SocketAddress& from) const;
  Socket& of(Family family) { return family == Family::v4 ? v4_ : v6_; }

  ProbeOptions options_;
  std::uint16_t id_ = 0;  ///< for raw sockets; the kernel assigns that of ping sockets
  Socket v4_;
  Socket v6_;
  std::vector<Asked> asked_;
};

}  // namespace wgsteer::health
