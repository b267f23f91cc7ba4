// SPDX-License-Identifier: GPL-2.0-or-later
// What nftables statements `log group 5 queue-threshold 1` tell, packet by packet. For tests in a network namespace of
// their own.
#pragma once

#include <arpa/inet.h>
#include <array>
#include <cstdint>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "wgsteer/core/ids.hpp"

#include "netlink/kernel_headers.hpp"
#include "netlink/wire.hpp"
#include "os/fd.hpp"

namespace wgsteer::test {

inline constexpr std::uint16_t kLogGroup = 5;

struct LoggedPacket {
  std::string prefix;
  Mark mark;
  IfIndex output;                   ///< 0: no device yet
  std::vector<std::uint8_t> bytes;  ///< from the IP header on
};

class PacketLog {
 public:
  PacketLog() : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)) {
    const int size = 16 << 20;
    EXPECT_EQ(::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size), 0);
    sockaddr_nl any{};
    any.nl_family = AF_NETLINK;
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    configure([](netlink::Message& message) {
      message.object(NFULA_CFG_CMD, nfulnl_msg_config_cmd{.command = NFULNL_CFG_CMD_BIND});
    });
    configure([](netlink::Message& message) {
      message.object(NFULA_CFG_MODE,
                     nfulnl_msg_config_mode{.copy_range = htonl(0xffff), .copy_mode = NFULNL_COPY_PACKET, ._pad = 0});
    });
  }

  /// Those that have come, without waiting.
  std::vector<LoggedPacket> take() {
    std::vector<LoggedPacket> all;
    while (true) {
      const ssize_t size = ::recv(socket_.get(), input_.data(), input_.size(), MSG_DONTWAIT);
      if (size <= 0) return all;
      netlink::forEachMessage(std::span{input_}.first(static_cast<std::size_t>(size)), [&](const nlmsghdr* message) {
        if (message->nlmsg_type == (NFNL_SUBSYS_ULOG << 8U | NFULNL_MSG_PACKET)) all.push_back(decoded(message));
      });
    }
  }

 private:
  template <class Put>
  void configure(Put&& put) {
    netlink::Message message(NFNL_SUBSYS_ULOG << 8U | NFULNL_MSG_CONFIG, NLM_F_ACK);
    auto& header = message.extra<nfgenmsg>();
    header.nfgen_family = AF_UNSPEC;
    header.version = NFNETLINK_V0;
    header.res_id = htons(kLogGroup);
    put(message);
    const auto bytes = message.finished();
    ASSERT_EQ(::send(socket_.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    const ssize_t size = ::recv(socket_.get(), input_.data(), input_.size(), 0);
    ASSERT_GT(size, 0);
    netlink::forEachMessage(std::span{input_}.first(static_cast<std::size_t>(size)), [](const nlmsghdr* answer) {
      const auto end = netlink::answerIn(answer);
      EXPECT_TRUE(end && end->error == 0) << "nfnetlink_log: " << (end ? end->error : 0);
    });
  }

  static LoggedPacket decoded(const nlmsghdr* message) {
    LoggedPacket packet;
    const auto parts = netlink::partsOf<nfgenmsg>(message);
    if (!parts) return packet;
    const netlink::Attributes<NFULA_MAX> attributes{parts->attributes};
    packet.prefix = attributes.text(NFULA_PREFIX);
    packet.mark = Mark{ntohl(attributes.u32(NFULA_MARK))};
    packet.output = IfIndex{static_cast<std::int32_t>(ntohl(attributes.u32(NFULA_IFINDEX_OUTDEV)))};
    if (const auto bytes = attributes.at(NFULA_PAYLOAD)) packet.bytes.assign(bytes->begin(), bytes->end());
    return packet;
  }

  os::Fd socket_;
  alignas(nlmsghdr) std::array<std::byte, 65536> input_{};
};

}  // namespace wgsteer::test
