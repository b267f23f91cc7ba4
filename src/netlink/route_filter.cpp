// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/route_filter.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstddef>
#include <iterator>
#include <linux/rtnetlink.h>

namespace wgsteer::netlink {

namespace {

constexpr std::uint32_t kType = offsetof(nlmsghdr, nlmsg_type);
constexpr std::uint32_t kPort = offsetof(nlmsghdr, nlmsg_pid);
constexpr std::uint32_t kDestinationLength = sizeof(nlmsghdr) + offsetof(rtmsg, rtm_dst_len);
constexpr std::uint32_t kTable = sizeof(nlmsghdr) + offsetof(rtmsg, rtm_table);
constexpr std::uint32_t kProtocolField = sizeof(nlmsghdr) + offsetof(rtmsg, rtm_protocol);
constexpr std::uint32_t kAttributes = sizeof(nlmsghdr) + sizeof(rtmsg);
constexpr std::uint32_t kPayload = sizeof(nlattr);
constexpr std::uint32_t kFirstHopsDevice = kPayload + offsetof(rtnexthop, rtnh_ifindex);
/// RTA_NH_ID of linux/rtnetlink.h since 5.3.
constexpr std::uint32_t kNexthopId = 30;

constexpr std::uint32_t kAll = 0xffffffff;
static_assert(kAttributes % 4 == 0, "attributes begin right after the header");

/// The instruction that is numbered `at` goes on at another number, in place of a distance.
struct Line {
  std::uint8_t at = 0;
  constexpr std::uint8_t to(unsigned target) const { return static_cast<std::uint8_t>(target - at - 1); }
  constexpr sock_filter ifEqual(std::uint32_t value, unsigned then, unsigned otherwise) const {
    return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, to(then), to(otherwise));
  }
  constexpr sock_filter go(unsigned target) const { return BPF_STMT(BPF_JMP | BPF_JA, to(target)); }
};

constexpr sock_filter load(std::uint16_t width, std::uint32_t offset) {
  return BPF_STMT(static_cast<std::uint16_t>(BPF_LD | width | BPF_ABS), offset);
}
/// A word at X and so much.
constexpr sock_filter loadBehind(std::uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_IND, offset); }
constexpr sock_filter put(std::uint32_t value) { return BPF_STMT(BPF_LD | BPF_IMM, value); }
constexpr sock_filter putX(std::uint32_t value) { return BPF_STMT(BPF_LDX | BPF_IMM, value); }
/// A: where the attribute of type X is, searched from A on; 0: there is none.
constexpr sock_filter find() {
  return load(BPF_W, static_cast<std::uint32_t>(SKF_AD_OFF) + static_cast<std::uint32_t>(SKF_AD_NLATTR));
}
constexpr sock_filter moveToX() { return BPF_STMT(BPF_MISC | BPF_TAX, 0); }
constexpr sock_filter keep() { return BPF_STMT(BPF_ST, 0); }
constexpr sock_filter recall() { return BPF_STMT(BPF_LD | BPF_MEM, 0); }
constexpr sock_filter finish(std::uint32_t bytes) { return BPF_STMT(BPF_RET | BPF_K, bytes); }

constexpr unsigned kByGateway = 17;
constexpr unsigned kByDevice = 24;
constexpr unsigned kHasGateway = 39;
constexpr unsigned kWithoutDevice = 41;
constexpr unsigned kAccept = 45;
constexpr unsigned kDrop = 46;
constexpr unsigned kCompare = 47;

/// BPF loads are in network order, the message is in host order: hence htons and htonl. Each announcement is one
/// datagram.
std::array<sock_filter, kCompare> head(std::uint32_t ownPort, RouteInterest::LeftOut leftOut, bool otherTables) {
  const unsigned byHand = leftOut == RouteInterest::LeftOut::byUplinks ? kByGateway : kAccept;
  const unsigned learned = leftOut == RouteInterest::LeftOut::nothing ? kByGateway : kDrop;
  return {
      // What is it?
      /*  0 */ load(BPF_W, kPort),
      /*  1 */ Line{1}.ifEqual(htonl(ownPort), kDrop, 2),
      /*  2 */ load(BPF_H, kType),
      /*  3 */ Line{3}.ifEqual(htons(RTM_NEWROUTE), 5, 4),
      /*  4 */ Line{4}.ifEqual(htons(RTM_DELROUTE), 5, kAccept),
      // A route. Default routes, and those that may be in a table of ours, always.
      /*  5 */ load(BPF_B, kDestinationLength),
      /*  6 */ Line{6}.ifEqual(0, kAccept, 7),
      /*  7 */ load(BPF_B, kTable),
      /*  8 */ Line{8}.ifEqual(RT_TABLE_COMPAT, kAccept, 9),
      /*  9 */ otherTables ? Line{9}.ifEqual(RT_TABLE_LOCAL, kDrop, 10) : Line{9}.ifEqual(RT_TABLE_MAIN, 10, kDrop),
      // A specific one of the main table, or of one that a rule of somebody's looks up: by whom?
      /* 10 */ load(BPF_B, kProtocolField),
      /* 11 */ Line{11}.ifEqual(RTPROT_REDIRECT, kDrop, 12),
      /* 12 */ Line{12}.ifEqual(RTPROT_KERNEL, kAccept, 13),
      /* 13 */ Line{13}.ifEqual(RTPROT_BOOT, byHand, 14),
      /* 14 */ Line{14}.ifEqual(RTPROT_STATIC, byHand, 15),
      /* 15 */ Line{15}.ifEqual(RTPROT_RA, kAccept, 16),
      /* 16 */ Line{16}.ifEqual(RTPROT_DHCP, kAccept, learned),
      // Learned: by which device? Of several hops, the first one stands for all.
      /* 17 */ put(kAttributes),
      /* 18 */ putX(RTA_MULTIPATH),
      /* 19 */ find(),
      /* 20 */ Line{20}.ifEqual(0, kByDevice, 21),
      /* 21 */ moveToX(),
      /* 22 */ loadBehind(kFirstHopsDevice),
      /* 23 */ Line{23}.go(kCompare),
      // One hop: its device, if there is a gateway of either family.
      /* 24 */ put(kAttributes),
      /* 25 */ putX(RTA_OIF),
      /* 26 */ find(),
      /* 27 */ Line{27}.ifEqual(0, kWithoutDevice, 28),
      /* 28 */ moveToX(),
      /* 29 */ loadBehind(kPayload),
      /* 30 */ keep(),
      /* 31 */ put(kAttributes),
      /* 32 */ putX(RTA_GATEWAY),
      /* 33 */ find(),
      /* 34 */ Line{34}.ifEqual(0, 35, kHasGateway),
      /* 35 */ put(kAttributes),
      /* 36 */ putX(RTA_VIA),
      /* 37 */ find(),
      /* 38 */ Line{38}.ifEqual(0, kAccept, kHasGateway),
      /* 39 */ recall(),
      /* 40 */ Line{40}.go(kCompare),
      // No device: a nexthop object alone (net.ipv4.nexthop_compat_mode=0) may stand for any number of routes.
      /* 41 */ put(kAttributes),
      /* 42 */ putX(kNexthopId),
      /* 43 */ find(),
      /* 44 */ Line{44}.ifEqual(0, kAccept, kDrop),
      /* 45 */ finish(kAll),
      /* 46 */ finish(0),
  };
}
static_assert(kCompare < 255, "jumps reach that far");

/// Two instructions each: beyond it, the rest is told and dropped in user space.
constexpr std::size_t kMaxUplinks = (BPF_MAXINSNS - kCompare - 1) / 2;

}  // namespace

std::vector<sock_filter> routeFilter(std::uint32_t ownPort, const RouteInterest& interest) {
  const auto first = head(ownPort, interest.leftOut, !interest.tables.empty());
  std::vector<sock_filter> program{first.begin(), first.end()};
  // From 47 on, A is the device that the route leaves by: the next instruction for one of the WANs, else the one
  // after it.
  const std::size_t count = std::min(interest.uplinks.size(), kMaxUplinks);
  for (auto device = interest.uplinks.begin(); program.size() < kCompare + 2 * count; ++device) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(static_cast<std::uint32_t>(device->value)), 0, 1));
    program.push_back(finish(0));
  }
  program.push_back(finish(kAll));
  return program;
}

std::vector<sock_filter> ownPortFilter(std::uint32_t ownPort) {
  return {
      /* 0 */ load(BPF_W, kPort),
      /* 1 */ Line{1}.ifEqual(htonl(ownPort), 3, 2),
      /* 2 */ finish(kAll),
      /* 3 */ finish(0),
  };
}

}  // namespace wgsteer::netlink
