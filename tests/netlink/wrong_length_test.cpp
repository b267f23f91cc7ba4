// SPDX-License-Identifier: GPL-2.0-or-later
// An attribute with a length that its type does not have spoils its message: it does not count as absent.
#include <array>
#include <cerrno>
#include <gtest/gtest.h>
#include <linux/netconf.h>
#include <linux/nexthop.h>
#include <vector>

#include "netlink/conntrack.hpp"
#include "netlink/kernel_headers.hpp"
#include "netlink/rtnetlink.hpp"
#include "netlink/rtnl.hpp"

namespace wgsteer::netlink {
namespace {

using Raw = std::vector<std::uint8_t>;

/// Of any contents.
Raw ofSize(std::size_t size) { return Raw(size, 1); }
/// Begins with an address family, as struct rtvia does.
Raw ofFamily(std::uint16_t family, std::size_t size) {
  Raw raw = ofSize(size);
  std::memcpy(raw.data(), &family, sizeof family);
  return raw;
}

/// Appends attributes within one.
template <class Fill>
void nest(Message& message, std::uint16_t type, const Fill& fill) {
  nlattr* start = mnl_attr_nest_start(message.header(), type);
  fill();
  mnl_attr_nest_end(message.header(), start);
}

/// A default route by device 3 with one more attribute.
template <class Fill>
std::optional<Route> routeWith(const Fill& fill) {
  Message message{RTM_NEWROUTE, 0};
  auto& header = message.extra<rtmsg>();
  header.rtm_family = AF_INET;
  header.rtm_type = RTN_UNICAST;
  message.u32(RTA_OIF, 3);
  fill(message);
  return decodeRoute(message.header());
}

TEST(WrongLength, OfAGatewayOfTheOtherFamily) {
  const auto via = [](const Raw& raw) { return routeWith([&](Message& message) { message.bytes(RTA_VIA, raw); }); };
  ASSERT_TRUE(via(ofFamily(AF_INET6, 18)));
  EXPECT_EQ(via(ofFamily(AF_INET6, 18))->hops.at(0).gateway, Address::parse("101:101:101:101:101:101:101:101"));
  EXPECT_TRUE(via(ofFamily(AF_INET, 6)));
  for (const Raw& wrong : {ofFamily(AF_INET6, 17), ofFamily(AF_INET6, 20), ofFamily(AF_INET6, 6), ofFamily(AF_INET, 18),
                           ofFamily(AF_UNIX, 18), ofSize(1), Raw{}})
    EXPECT_FALSE(via(wrong)) << wrong.size();
}

TEST(WrongLength, OfAGatewayAmongSeveral) {
  const auto hopVia = [](const Raw& raw) {
    return routeWith([&](Message& message) {
      nest(message, RTA_MULTIPATH, [&] {
        auto* hop = message.more<rtnexthop>();
        hop->rtnh_ifindex = 3;
        message.bytes(RTA_VIA, raw);
        hop->rtnh_len = static_cast<unsigned short>(sizeof *hop + aligned(sizeof(nlattr) + raw.size()));
      });
    });
  };
  EXPECT_TRUE(hopVia(ofFamily(AF_INET6, 18)));
  EXPECT_FALSE(hopVia(ofFamily(AF_INET6, 10)));
}

TEST(WrongLength, OfAMetric) {
  const auto mtu = [](const Raw& raw) {
    return routeWith([&](Message& message) { nest(message, RTA_METRICS, [&] { message.bytes(RTAX_MTU, raw); }); });
  };
  EXPECT_TRUE(mtu(ofSize(4)));
  EXPECT_FALSE(mtu(ofSize(2)));
  EXPECT_FALSE(mtu(ofSize(8)));
}

std::optional<std::pair<std::uint32_t, Nexthop>> nexthopWith(std::uint8_t family, std::uint16_t type, const Raw& raw) {
  Message message{RTM_NEWNEXTHOP, 0};
  message.extra<nhmsg>().nh_family = family;
  message.u32(NHA_ID, 7);
  if (type == NHA_GATEWAY) message.u32(NHA_OIF, 3);
  message.bytes(type, raw);
  return decodeNexthop(message.header());
}

TEST(WrongLength, OfANexthopObjectsGateway) {
  ASSERT_TRUE(nexthopWith(AF_INET, NHA_GATEWAY, ofSize(4)));
  EXPECT_EQ(nexthopWith(AF_INET, NHA_GATEWAY, ofSize(4))->second.hops.at(0).gateway, Address::v4(1, 1, 1, 1));
  EXPECT_TRUE(nexthopWith(AF_INET6, NHA_GATEWAY, ofSize(16)));
  EXPECT_FALSE(nexthopWith(AF_INET, NHA_GATEWAY, ofSize(16)));
  EXPECT_FALSE(nexthopWith(AF_INET6, NHA_GATEWAY, ofSize(4)));
  EXPECT_FALSE(nexthopWith(AF_UNSPEC, NHA_GATEWAY, ofSize(4))) << "of no family";
}

TEST(WrongLength, OfAGroup) {
  ASSERT_TRUE(nexthopWith(AF_UNSPEC, NHA_GROUP, ofSize(16)));
  EXPECT_EQ(nexthopWith(AF_UNSPEC, NHA_GROUP, ofSize(16))->second.members.size(), 2U);
  EXPECT_FALSE(nexthopWith(AF_UNSPEC, NHA_GROUP, ofSize(12)));
}

TEST(WrongLength, OfASwitch) {
  const auto changed = [](std::uint16_t type, std::size_t size) {
    Message message{RTM_NEWNETCONF, 0};
    message.extra<netconfmsg>();
    message.bytes(NETCONFA_RP_FILTER, ofSize(type == NETCONFA_RP_FILTER ? size : 4));
    message.bytes(NETCONFA_IFINDEX, ofSize(type == NETCONFA_IFINDEX ? size : 4));
    return decodeEvent(message.header()).has_value();
  };
  EXPECT_TRUE(changed(NETCONFA_RP_FILTER, 4));
  EXPECT_FALSE(changed(NETCONFA_RP_FILTER, 1));
  EXPECT_FALSE(changed(NETCONFA_IFINDEX, 8));
}

TEST(WrongLength, InAnExtendedAckLeavesTheError) {
  const auto answer = [](std::size_t size) {
    Message message{NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS};
    message.extra<nlmsgerr>().error = -EPERM;
    message.text(NLMSGERR_ATTR_MSG, "no");
    message.bytes(NLMSGERR_ATTR_OFFS, ofSize(size));
    return answerIn(message.header()).value_or(Answer{});
  };
  EXPECT_EQ(answer(4).text, "no");
  EXPECT_EQ(answer(4).attribute, 0x01010101U);
  EXPECT_EQ(answer(2).error, EPERM);
  EXPECT_EQ(answer(2).text, "");
  EXPECT_EQ(answer(2).attribute, 0U);
}

TEST(WrongLength, OfTheEndOfADumpIsNoSuccess) {
  Message message{NLMSG_DONE, 0};
  EXPECT_EQ(answerIn(message.header()).value_or(Answer{}).error, EBADMSG);
  message.extra<std::uint32_t>() = 0;
  EXPECT_EQ(answerIn(message.header()).value_or(Answer{.error = -1}).error, 0);
}

/// The lengths of the attributes of a flow; 0: left out. And each byte of its status.
struct FlowSizes {
  std::size_t protocol = 1;
  std::size_t port = 2;
  std::size_t address = 4;
  std::size_t id = 4;
  std::size_t zone = 2;
  std::size_t mark = 4;
  std::size_t status = 4;
  std::size_t timeout = 4;
  std::uint8_t statusByte = 0;
};

/// Passes on a flow of UDP to 1.1.1.1:257 with the mark 0x01010101.
template <class Use>
auto withFlow(const FlowSizes& sizes, const Use& use) {
  Message message{NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_NEW, 0};
  message.extra<nfgenmsg>().nfgen_family = AF_INET;
  const auto put = [&](std::uint16_t type, std::size_t size, std::uint8_t byte) {
    if (size > 0) message.bytes(type, Raw(size, byte));
  };
  for (const std::uint16_t direction : {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY})
    nest(message, direction, [&] {
      nest(message, CTA_TUPLE_IP, [&] { put(CTA_IP_V4_DST, sizes.address, 1); });
      nest(message, CTA_TUPLE_PROTO, [&] {
        put(CTA_PROTO_NUM, sizes.protocol, IPPROTO_UDP);
        put(CTA_PROTO_DST_PORT, sizes.port, 1);
      });
    });
  put(CTA_ID, sizes.id, 1);
  put(CTA_ZONE, sizes.zone, 1);
  put(CTA_MARK, sizes.mark, 1);
  put(CTA_STATUS, sizes.status, sizes.statusByte);
  put(CTA_TIMEOUT, sizes.timeout, 1);
  return use(message.header());
}

/// Whether the answers of this flow are seen to go to the wrong address.
bool isStale(const FlowSizes& sizes) {
  return withFlow(sizes, [](const nlmsghdr* message) {
    return staleFlow(message, {{Endpoint{Address::v4(1, 1, 1, 1), 257}, {}}}).has_value();
  });
}

std::optional<MarkedFlow> marked(const FlowSizes& sizes, std::uint32_t mask = 0xff000000) {
  return withFlow(sizes, [&](const nlmsghdr* message) { return markedFlow(message, mask); });
}

TEST(WrongLength, InAFlow) {
  EXPECT_TRUE(isStale({}));
  EXPECT_TRUE(isStale({.id = 0, .zone = 0}));
  for (const FlowSizes& wrong :
       {FlowSizes{.protocol = 2}, FlowSizes{.protocol = 0}, FlowSizes{.port = 4}, FlowSizes{.port = 0},
        FlowSizes{.address = 16}, FlowSizes{.address = 0}, FlowSizes{.id = 8}, FlowSizes{.zone = 4}})
    EXPECT_FALSE(isStale(wrong)) << wrong.protocol << " " << wrong.port << " " << wrong.address << " " << wrong.id
                                 << " " << wrong.zone;
}

TEST(WrongLength, InAFlowWithAMark) {
  ASSERT_TRUE(marked({}));
  EXPECT_EQ(marked({})->mark, Mark{0x01010101});
  EXPECT_FALSE(marked({})->answered);
  EXPECT_EQ(marked({})->expiresIn, std::chrono::seconds{0x01010101});
  EXPECT_TRUE(marked({.port = 0})) << "of any protocol";
  EXPECT_TRUE(marked({.status = 0})->answered) << "nothing is known of it";
  EXPECT_TRUE(marked({.statusByte = IPS_SEEN_REPLY})->answered);
  EXPECT_EQ(marked({.timeout = 0})->expiresIn, std::nullopt);
  for (const unsigned notProlonged : {IPS_FIXED_TIMEOUT, IPS_OFFLOAD})
    EXPECT_EQ(marked({.statusByte = static_cast<std::uint8_t>(notProlonged >> 8U)})->expiresIn, std::nullopt);
  EXPECT_FALSE(marked({.mark = 0}));
  EXPECT_FALSE(marked({}, 0xf0000000)) << "no bit under the mask";
  EXPECT_FALSE(marked({.mark = 2}));
  EXPECT_FALSE(marked({.mark = 8}));
  EXPECT_FALSE(marked({.status = 1}));
  EXPECT_FALSE(marked({.timeout = 8}));
  EXPECT_FALSE(marked({.id = 8}));
}

}  // namespace
}  // namespace wgsteer::netlink
