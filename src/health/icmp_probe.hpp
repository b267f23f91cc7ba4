// SPDX-License-Identifier: GPL-2.0-or-later
// Echo requests (RFC 792, RFC 4443 section 4). IPv4: by ping sockets where the host lets us have them
// (net.ipv4.ping_group_range), else by raw ones. IPv6: the other way round, for its ping sockets do not say that a
// packet was not let out (icmpv6_push_pending_frames as of Linux 6.18).
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
/// A datagram as a socket gives it: with the header of IPv4 (RFC 791) if that is a raw one, which `rawId` says; then
/// the reply must have this identifier. Nothing when it is no echo reply, or another's.
std::optional<EchoReply> readEchoReply(Family family, std::span<const std::uint8_t> datagram,
                                       std::optional<std::uint16_t> rawId);

class IcmpProbe {
 public:
  explicit IcmpProbe(const ProbeOptions& options);
  /// Numbers of questions count from 0 without gaps. The socket of the family joins the epoll with its first question.
  Status ask(std::size_t question, const Endpoint& target, int epoll);
  /// What came for the socket that the question was asked by.
  void collect(std::size_t question, std::vector<Reply>& replies);
  /// All that was refused is known from ask().
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

  Status open(Family family, std::size_t question, int epoll);
  std::vector<std::uint8_t> request(Family family, std::size_t question, const Nonce& nonce) const;
  bool answers(const EchoReply& reply, const SocketAddress& from) const;
  Socket& of(Family family) { return family == Family::v4 ? v4_ : v6_; }

  ProbeOptions options_;
  std::uint16_t id_ = 0;  ///< raw sockets; a ping socket has the kernel's
  Socket v4_;
  Socket v6_;
  std::vector<Asked> asked_;
};

}  // namespace wgsteer::health
