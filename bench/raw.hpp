// SPDX-License-Identifier: GPL-2.0-or-later
// Building blocks of the controls: libmnl, messages that are built once, and nothing else. IPv4 only.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <libmnl/libmnl.h>
#include <span>
#include <vector>

#include "os/fd.hpp"

namespace wgsteer::bench {

using Prebuilt = std::vector<char>;

struct RawRoute {
  std::uint32_t table = 254;
  const char* destination = nullptr;  ///< none: default
  std::uint8_t length = 0;
  const char* gateway = nullptr;
  int device = 0;
  std::uint32_t metric = 0;
  std::uint8_t protocol = 3;
  bool onlink = false;
};
/// `flags` beyond NLM_F_REQUEST | NLM_F_ACK.
Prebuilt routeMessage(std::uint16_t type, std::uint16_t flags, const RawRoute& route);
Prebuilt addressMessage(std::uint16_t type, const char* address, std::uint8_t length, int device);
/// fwmark MARK/MASK lookup TABLE.
Prebuilt ruleMessage(std::uint16_t type, std::uint32_t priority, std::uint32_t mark, std::uint32_t mask,
                     std::uint32_t table, std::uint8_t protocol);
/// For NETLINK_NETFILTER: all connections that the namespace tracks are forgotten.
Prebuilt forgetConnectionsMessage();

/// A netlink socket of the namespace in which it is opened.
class RawSocket {
 public:
  explicit RawSocket(int protocol = 0, std::initializer_list<int> groups = {});
  int descriptor() const { return socket_.get(); }
  void send(std::span<const char> message) const;
  /// The error of the next ack, 0 for success.
  int acknowledged();
  /// Sends the message and waits for its ack; dies if the kernel refuses.
  void transact(std::span<const char> message);
  /// Size of the next datagram, or -1 if there is none.
  ssize_t poll(std::span<char> buffer) const;
  /// Discards everything that is queued.
  void drain();

 private:
  os::Fd socket_;
  alignas(16) std::array<char, 32768> buffer_;
};

using Match = std::function<bool(const nlmsghdr*)>;
/// Spins until a message matches, at most ten seconds; false if none did. Spinning, because the wake-up of the
/// measuring process must not be part of the result. `meanwhile` is called every twenty milliseconds, if there is one.
bool awaitMessage(RawSocket& socket, const Match& match, const std::function<void()>& meanwhile = {});

/// Of a notification of rtnetlink: RTA_TABLE, RTA_OIF, RTA_GATEWAY and the like; 0 if it is not there.
std::uint32_t attributeOf(const nlmsghdr* message, std::size_t headerSize, std::uint16_t type);

}  // namespace wgsteer::bench
