// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/route_filter.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <bit>
#include <cstddef>
#include <iterator>
#include <linux/rtnetlink.h>
#include <ranges>

#include "wgsteer/core/numbers.hpp"

#include "netlink/rtnl.hpp"

namespace wgsteer::netlink {

namespace {

constexpr std::uint32_t kType = offsetof(nlmsghdr, nlmsg_type);
constexpr std::uint32_t kPort = offsetof(nlmsghdr, nlmsg_pid);
constexpr std::uint32_t kDestinationLength = sizeof(nlmsghdr) + offsetof(rtmsg, rtm_dst_len);
constexpr std::uint32_t kProtocolField = sizeof(nlmsghdr) + offsetof(rtmsg, rtm_protocol);
constexpr std::uint32_t kAttributes = sizeof(nlmsghdr) + sizeof(rtmsg);
constexpr std::uint32_t kPayload = sizeof(nlattr);
constexpr std::uint32_t kFirstHopsDevice = kPayload + offsetof(rtnexthop, rtnh_ifindex);

constexpr std::uint32_t kAll = 0xffffffff;
static_assert(kAttributes % 4 == 0, "attributes begin right after the header");

/// Jumps to instructions by their numbers, for placed().
constexpr sock_filter ifEqual(std::uint32_t value, std::uint8_t then, std::uint8_t otherwise) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise);
}
constexpr sock_filter go(std::uint8_t target) { return BPF_STMT(BPF_JMP | BPF_JA, target); }

/// Turns the numbers of the jumps' targets into what the kernel expects: distances from the next instruction.
template <std::size_t kSize>
constexpr std::array<sock_filter, kSize> placed(std::array<sock_filter, kSize> program) {
  for (std::size_t at = 0; at < kSize; ++at) {
    sock_filter& line = program[at];
    if (BPF_CLASS(line.code) != BPF_JMP) continue;
    const auto next = static_cast<std::uint8_t>(at + 1);
    if (BPF_OP(line.code) == BPF_JA) {
      line.k -= next;
    } else {
      line.jt = static_cast<std::uint8_t>(line.jt - next);
      line.jf = static_cast<std::uint8_t>(line.jf - next);
    }
  }
  return program;
}

constexpr sock_filter load(std::uint16_t width, std::uint32_t offset) {
  return BPF_STMT(static_cast<std::uint16_t>(BPF_LD | width | BPF_ABS), offset);
}
/// Loads the word at X plus an offset.
constexpr sock_filter loadBehind(std::uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_IND, offset); }
constexpr sock_filter put(std::uint32_t value) { return BPF_STMT(BPF_LD | BPF_IMM, value); }
constexpr sock_filter putX(std::uint32_t value) { return BPF_STMT(BPF_LDX | BPF_IMM, value); }
/// Sets A to the offset of the attribute of type X, searched from A on; 0: not found.
constexpr sock_filter find() {
  return load(BPF_W, static_cast<std::uint32_t>(SKF_AD_OFF) + static_cast<std::uint32_t>(SKF_AD_NLATTR));
}
constexpr sock_filter moveToX() { return BPF_STMT(BPF_MISC | BPF_TAX, 0); }
constexpr sock_filter moveFromX() { return BPF_STMT(BPF_MISC | BPF_TXA, 0); }
constexpr sock_filter keep() { return BPF_STMT(BPF_ST, 0); }
constexpr sock_filter recall() { return BPF_STMT(BPF_LD | BPF_MEM, 0); }
constexpr sock_filter finish(std::uint32_t bytes) { return BPF_STMT(BPF_RET | BPF_K, bytes); }

/// Determines the route's table. BPF loads are in network order, the message is in host order: hence htons and htonl.
/// Each announcement is one datagram. RTA_TABLE is in every one, as rtm_table has room for small numbers alone.
std::array<sock_filter, 20> beginning(std::uint32_t ownPort) {
  constexpr std::uint8_t kAccept = 17;
  constexpr std::uint8_t kDrop = 18;
  static_assert(std::has_single_bit(kTableCount) && kWanTableBase % kTableCount == 0, "ours are told by a mask");
  return placed(std::to_array<sock_filter>({
      /*  0 */ load(BPF_W, kPort),
      /*  1 */ ifEqual(htonl(ownPort), kDrop, 2),
      /*  2 */ load(BPF_H, kType),
      /*  3 */ ifEqual(htons(RTM_NEWROUTE), 5, 4),
      /*  4 */ ifEqual(htons(RTM_DELROUTE), 5, kAccept),
      // A route. Default routes and routes in our tables always pass.
      /*  5 */ load(BPF_B, kDestinationLength),
      /*  6 */ ifEqual(0, kAccept, 7),
      /*  7 */ put(kAttributes),
      /*  8 */ putX(RTA_TABLE),
      /*  9 */ find(),
      /* 10 */ ifEqual(0, kAccept, 11),
      /* 11 */ moveToX(),
      /* 12 */ loadBehind(kPayload),
      /* 13 */ moveToX(),
      /* 14 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, htonl(~(kTableCount - 1))),
      /* 15 */ ifEqual(htonl(kWanTableBase), kAccept, 16),
      /* 16 */ go(19),
      /* 17 */ finish(kAll),
      /* 18 */ finish(0),
      // Continue with the table.
      /* 19 */ moveFromX(),
  }));
}

constexpr std::uint8_t kByGateway = 7;
constexpr std::uint8_t kByDevice = 14;
constexpr std::uint8_t kHasGateway = 29;
constexpr std::uint8_t kWithoutDevice = 31;
constexpr std::uint8_t kAccept = 35;
constexpr std::uint8_t kDrop = 36;
constexpr std::uint8_t kCompare = 37;

/// A specific route of the main table, or of one that a foreign rule looks up: who added it?
std::array<sock_filter, kCompare> origin(RouteInterest::LeftOut leftOut) {
  const std::uint8_t byHand = leftOut == RouteInterest::LeftOut::byUplinks ? kByGateway : kAccept;
  const std::uint8_t learned = leftOut == RouteInterest::LeftOut::nothing ? kAccept
                               : leftOut == RouteInterest::LeftOut::fed   ? kByGateway
                                                                          : kDrop;
  return placed(std::to_array<sock_filter>({
      /*  0 */ load(BPF_B, kProtocolField),
      /*  1 */ ifEqual(RTPROT_REDIRECT, kDrop, 2),
      /*  2 */ ifEqual(RTPROT_KERNEL, kAccept, 3),
      /*  3 */ ifEqual(RTPROT_BOOT, byHand, 4),
      /*  4 */ ifEqual(RTPROT_STATIC, byHand, 5),
      /*  5 */ ifEqual(RTPROT_RA, kAccept, 6),
      /*  6 */ ifEqual(RTPROT_DHCP, kAccept, learned),
      // Learned: by which device? If there are several hops, the first one stands for all.
      /*  7 */ put(kAttributes),
      /*  8 */ putX(RTA_MULTIPATH),
      /*  9 */ find(),
      /* 10 */ ifEqual(0, kByDevice, 11),
      /* 11 */ moveToX(),
      /* 12 */ loadBehind(kFirstHopsDevice),
      /* 13 */ go(kCompare),
      // One hop: its device, if there is a gateway of either family.
      /* 14 */ put(kAttributes),
      /* 15 */ putX(RTA_OIF),
      /* 16 */ find(),
      /* 17 */ ifEqual(0, kWithoutDevice, 18),
      /* 18 */ moveToX(),
      /* 19 */ loadBehind(kPayload),
      /* 20 */ keep(),
      /* 21 */ put(kAttributes),
      /* 22 */ putX(RTA_GATEWAY),
      /* 23 */ find(),
      /* 24 */ ifEqual(0, 25, kHasGateway),
      /* 25 */ put(kAttributes),
      /* 26 */ putX(RTA_VIA),
      /* 27 */ find(),
      /* 28 */ ifEqual(0, kAccept, kHasGateway),
      /* 29 */ recall(),
      /* 30 */ go(kCompare),
      // No device: a nexthop object alone (net.ipv4.nexthop_compat_mode=0) may stand for any number of routes.
      /* 31 */ put(kAttributes),
      /* 32 */ putX(kNexthopId),
      /* 33 */ find(),
      /* 34 */ ifEqual(0, kAccept, kDrop),
      /* 35 */ finish(kAll),
      /* 36 */ finish(0),
  }));
}
static_assert(kCompare < 255, "jumps reach that far");

/// Up to this many tables are told apart here; if there are more, all of their routes pass and are dropped in user
/// space.
constexpr std::size_t kMaxTables = 500;
/// The number of WANs for which there is room then, with two instructions each.
constexpr std::size_t kMaxUplinks = 1400;
static_assert(64 + kCompare + 2 * kMaxTables + 2 * kMaxUplinks < BPF_MAXINSNS);

/// A is the table: continues if it is one of these, otherwise drops.
void appendTables(std::vector<sock_filter>& program, const std::set<TableId>& tables) {
  if (tables.size() > kMaxTables) return;
  const auto append = [&](TableId table, std::size_t tablesBehind) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(table.value), 0, 1));
    program.push_back(BPF_STMT(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(2 * tablesBehind + 1)));
  };
  std::size_t behind = tables.size();
  append(kMainTable, behind);
  for (const TableId table : tables) append(table, --behind);
  program.push_back(finish(0));
}

/// A is the device by which the route leaves: tests whether it is one of the WANs.
void appendUplinks(std::vector<sock_filter>& program, const std::set<IfIndex>& uplinks) {
  for (const IfIndex device : uplinks | std::views::take(kMaxUplinks)) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(static_cast<std::uint32_t>(device.value)), 0, 1));
    program.push_back(finish(0));
  }
  program.push_back(finish(kAll));
}

}  // namespace

std::vector<sock_filter> routeFilter(std::uint32_t ownPort, const RouteInterest& interest) {
  const auto first = beginning(ownPort);
  std::vector<sock_filter> program{first.begin(), first.end()};
  appendTables(program, interest.tables);
  std::ranges::copy(origin(interest.leftOut), std::back_inserter(program));
  appendUplinks(program, interest.uplinks);
  return program;
}

std::vector<sock_filter> ownPortFilter(std::uint32_t ownPort) {
  const auto program = placed(std::to_array<sock_filter>({
      /* 0 */ load(BPF_W, kPort),
      /* 1 */ ifEqual(htonl(ownPort), 3, 2),
      /* 2 */ finish(kAll),
      /* 3 */ finish(0),
  }));
  return {program.begin(), program.end()};
}

}  // namespace wgsteer::netlink
