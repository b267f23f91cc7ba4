// SPDX-License-Identifier: GPL-2.0-or-later
// Bytes that no kernel sends: truncated or garbled anywhere. Decoders read nothing beyond the end (the sanitizers check
// that), and any value that they return satisfies the guarantees of its type.
#include <array>
#include <cerrno>
#include <gtest/gtest.h>
#include <limits>

#include "wgsteer/core/overload.hpp"

#include "netlink/captured.hpp"
#include "netlink/rtnetlink.hpp"
#include "netlink/rtnl_bytes.hpp"
#include "netlink/rtnl_random.hpp"
#include "netlink/trace.hpp"

namespace wgsteer::netlink {
namespace {

using test::Bytestring;
using test::Random;

constexpr std::array kSeeds{
    captured::kAddress,   captured::kAddressWithPeer, captured::kAddress6,        captured::kDefault,
    captured::kClosing,   captured::kMultipath,       captured::kViaInet6,        captured::kDefault6,
    captured::kClosing6,  captured::kHopJoined6,      captured::kSourceSpecific6, captured::kRuleMark,
    captured::kRuleFrom6, captured::kRuleGoto,        captured::kRuleUidRange,    captured::kRuleSuppress,
    captured::kLink,      captured::kLinkGone,        captured::kNetconfLinkdown, captured::kBridgePort,
};

bool plausible(const Address& address, Family family) { return address.family() == family; }

bool plausible(const Route& route) {
  const Family family = route.family();
  for (const NextHop& hop : route.hops)
    if (hop.weight < 1 || hop.weight > 256) return false;
  return route.source.family() == family && route.destination.length() <= bitsOf(family) &&
         (!route.preferredSource || plausible(*route.preferredSource, family));
}

bool plausible(const Rule& rule) {
  return (!rule.source || rule.source->family() == rule.family) &&
         (!rule.destination || rule.destination->family() == rule.family);
}

bool plausible(const InterfaceAddress& own) {
  return own.prefixLength <= bitsOf(own.address.family()) && (!own.peer || plausible(*own.peer, own.address.family()));
}

bool plausible(const Event& event) {
  return std::visit(Overload{
                        [](const LinkChanged& changed) {
                          return !changed.link.name.empty() && changed.link.name.size() <= kMaxIfNameLength;
                        },
                        [](const AddressAdded& added) { return plausible(added.address); },
                        [](const AddressGone& gone) { return plausible(gone.address); },
                        [](const RouteAdded& added) { return plausible(added.route); },
                        [](const RouteGone& gone) { return plausible(gone.route); },
                        [](const RuleAdded& added) { return plausible(added.rule); },
                        [](const RuleGone& gone) { return plausible(gone.rule); },
                        [](const SysctlsChanged& changed) { return changed.device.value >= 0; },
                        [](const auto&) { return true; },
                    },
                    event);
}

/// Reads a datagram as the daemon does; returns whether anything was decoded.
bool survives(const Bytestring& bytes) {
  bool understood = false;
  forEachMessage(bytes.all(), [&](const nlmsghdr* message) {
    const auto event = decodeEvent(message);
    understood |= event.has_value();
    EXPECT_TRUE(!event || plausible(*event)) << trace(message);
    EXPECT_FALSE(trace(message).empty());
    (void)answerIn(message);
  });
  return understood;
}

TEST(RtnlMutation, CutAnywhere) {
  for (const std::string_view seed : kSeeds) {
    const Bytestring whole{seed};
    for (std::size_t length = 0; length < whole.all().size(); ++length) {
      // Once with a datagram that ends too early, once with a message that says so itself.
      EXPECT_FALSE(survives(Bytestring{whole.all().first(length)}));
      if (length >= NLMSG_HDRLEN) survives(Bytestring{whole.all().first(length), length});
    }
  }
}

TEST(RtnlMutation, GarbledAnywhere) {
  Random random{5};
  int understood = 0;
  constexpr int kRounds = 40000;
  for (int i = 0; i < kRounds; ++i) {
    const Bytestring whole{kSeeds[random.below(kSeeds.size())]};
    std::vector<std::byte> bytes{whole.all().begin(), whole.all().end()};
    for (std::uint32_t changes = 1 + random.below(4); changes > 0; --changes) {
      // Lengths are the sensitive part: half of the changes write small numbers at even offsets.
      const auto at = random.below(static_cast<std::uint32_t>(bytes.size()));
      bytes[random.chance(2) ? at & ~1U : at] =
          static_cast<std::byte>(random.chance(2) ? random.below(40) : random.below(256));
    }
    understood += survives(Bytestring{std::span<const std::byte>{bytes}}) ? 1 : 0;
  }
  // Most bytes are payload: a decoder that rejects everything unusual would be too strict.
  EXPECT_GT(understood, kRounds / 2);
}

TEST(RtnlMutation, AnswersCutAnywhere) {
  for (const std::string_view seed : {captured::kNoSuchTable, captured::kNoSuchDevice, captured::kNoSuchGateway}) {
    const Bytestring whole{seed};
    const auto told = answerIn(whole.message());
    ASSERT_TRUE(told);
    const std::size_t least = whole.message()->nlmsg_type == NLMSG_ERROR ? sizeof(nlmsgerr) : sizeof(int);
    for (std::size_t length = NLMSG_HDRLEN; length < whole.all().size(); ++length) {
      const Bytestring cut{whole.all().first(length), length};
      const auto read = answerIn(cut.message());
      if (length < NLMSG_LENGTH(least)) {
        EXPECT_TRUE(!read || read->error == EBADMSG);
      } else {
        ASSERT_TRUE(read);
        EXPECT_EQ(read->error, told->error);
        EXPECT_TRUE(read->text.empty() || read->text == told->text) << read->text;
      }
    }
  }
}

}  // namespace
}  // namespace wgsteer::netlink
