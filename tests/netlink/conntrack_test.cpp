// SPDX-License-Identifier: GPL-2.0-or-later
// Flows that the real kernel has masqueraded between two namespaces, or was given with a mark, and then must delete.
#include "netlink/conntrack.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/fd.hpp"
#include "support/connections.hpp"
#include "support/netns.hpp"

namespace wgsteer::netlink {
namespace {

using wgsteer::test::shell;

const Address kFirst = Address::v4(192, 0, 2, 2);
const Address kSecond = Address::v4(192, 0, 2, 3);

class ConntrackTest : public wgsteer::test::OwnNetwork {
 protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    const os::Fd home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    away_ = os::Fd(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::setns(home.get(), CLONE_NEWNET), 0);
    shell("ip link add wan0 type veth peer name isp0 netns /proc/" + std::to_string(::getpid()) + "/fd/" +
          std::to_string(away_.get()));
    shell(
        "ip addr add 192.0.2.2/24 dev wan0; ip addr add 2001:db8::2/64 dev wan0 nodad; ip link set wan0 up; "
        "ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8::1; "
        "ip addr add 10.0.0.2/32 dev lo; ip addr add fd00::2/128 dev lo nodad");
    ASSERT_EQ(::setns(away_.get(), CLONE_NEWNET), 0);
    shell("ip addr add 192.0.2.1/24 dev isp0; ip addr add 2001:db8::1/64 dev isp0 nodad; ip link set isp0 up");
    ASSERT_EQ(::setns(home.get(), CLONE_NEWNET), 0);
    masquerade();
  }

  static void masquerade() {
    shell(
        "nft add table inet nat; nft add chain inet nat post '{ type nat hook postrouting priority srcnat; }'; "
        "nft add rule inet nat post oifname wan0 masquerade");
  }

  /// From an address that has to be translated.
  static void send(const Endpoint& to) {
    const bool v4 = to.address.family() == Family::v4;
    const os::Fd socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 six{};
    sockaddr_in four{};
    six.sin6_family = AF_INET6;
    four.sin_family = AF_INET;
    ASSERT_EQ(::inet_pton(AF_INET, "10.0.0.2", &four.sin_addr), 1);
    ASSERT_EQ(::inet_pton(AF_INET6, "fd00::2", &six.sin6_addr), 1);
    four.sin_port = six.sin6_port = htons(4000);  // the same flow each time
    const auto* address = v4 ? reinterpret_cast<sockaddr*>(&four) : reinterpret_cast<sockaddr*>(&six);
    const socklen_t length = v4 ? sizeof four : sizeof six;
    ASSERT_EQ(::bind(socket.get(), address, length), 0);
    const std::string text = to.address.toString();
    four.sin_port = six.sin6_port = htons(to.port);
    ASSERT_EQ(::inet_pton(AF_INET, text.c_str(), &four.sin_addr) + ::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr),
              1);
    ASSERT_EQ(::sendto(socket.get(), "x", 1, 0, address, length), 1);
  }

  std::size_t forget(const std::map<Endpoint, std::set<Address>>& rightSources) {
    const auto forgotten = conntrack_.forget(rightSources);
    EXPECT_TRUE(forgotten) << forgotten.error().toString();
    return forgotten.value_or(0);
  }

  Conntrack conntrack_;
  os::Fd away_;
};

const Endpoint kPeer = *Endpoint::parse("203.0.113.55:51820");
const Endpoint kOther = *Endpoint::parse("203.0.113.55:51821");
const Endpoint kPeer6 = *Endpoint::parse("[2001:db8:ff::55]:51820");

TEST_F(ConntrackTest, ForgetsWhatIsTranslatedToAnotherAddress) {
  send(kPeer);
  EXPECT_EQ(forget({{kPeer, {kFirst}}}), 0U) << "its source is right";
  EXPECT_EQ(forget({{kPeer, {kSecond}}}), 1U);
  EXPECT_EQ(forget({{kPeer, {kSecond}}}), 0U) << "it is gone";
}

TEST_F(ConntrackTest, KnowsEndpointsByTheirPortsAndLeavesOthersAlone) {
  send(kPeer);
  send(kOther);
  EXPECT_EQ(forget({{kPeer, {}}}), 1U);
  EXPECT_EQ(forget({{kOther, {kFirst, kSecond}}}), 0U);
  EXPECT_EQ(forget({{kPeer, {}}, {kOther, {}}}), 1U);
}

TEST_F(ConntrackTest, KnowsBothFamilies) {
  send(kPeer6);
  EXPECT_EQ(forget({{kPeer, {}}}), 0U);
  EXPECT_EQ(forget({{kPeer6, {*Address::parse("2001:db8::2")}}}), 0U);
  EXPECT_EQ(forget({{kPeer6, {*Address::parse("2001:db8::3")}}}), 1U);
}

TEST_F(ConntrackTest, AFlowThatIsForgottenIsTranslatedAnew) {
  send(kPeer);
  shell("nft flush chain inet nat post; nft add rule inet nat post oifname wan0 snat ip to 192.0.2.3");
  send(kPeer);
  EXPECT_EQ(forget({{kPeer, {kFirst}}}), 0U) << "a known flow keeps its translation";
  EXPECT_EQ(forget({{kPeer, {kSecond}}}), 1U);
  send(kPeer);
  EXPECT_EQ(forget({{kPeer, {kSecond}}}), 0U) << "right now";
  EXPECT_EQ(forget({{kPeer, {}}}), 1U) << "and there";
}

TEST_F(ConntrackTest, AsksNobodyWithoutAnEndpoint) { EXPECT_EQ(forget({}), 0U); }

constexpr std::uint32_t kMask = 0xff000000;
using Counts = std::map<std::uint32_t, std::size_t>;

class MarkedTest : public wgsteer::test::OwnNetwork {
 protected:
  Counts counts(std::uint32_t mask = kMask) {
    const auto found = conntrack_.countMarked(mask);
    EXPECT_TRUE(found) << found.error().toString();
    return found.value_or(Counts{});
  }
  void expectForgotten(const Result<std::size_t>& forgotten, std::size_t wanted) {
    ASSERT_TRUE(forgotten) << forgotten.error().toString();
    EXPECT_EQ(*forgotten, wanted);
  }
  void expectDone(const Status& done) { EXPECT_TRUE(done) << done.error().toString(); }

  Conntrack conntrack_;
};

using wgsteer::test::makeConnection;

TEST_F(MarkedTest, AreCountedByTheirValueUnderTheMask) {
  EXPECT_EQ(counts(), Counts{});
  makeConnection({.family = Family::v4, .mark = Mark{0x11000000}, .port = 1});
  makeConnection({.family = Family::v6, .mark = Mark{0x11000007}, .port = 1});
  makeConnection({.family = Family::v4, .mark = Mark{0x22003f00}, .port = 2});
  makeConnection({.family = Family::v4, .mark = Mark{0x00003f00}, .port = 3});
  makeConnection({.family = Family::v6, .mark = Mark{0}, .port = 4});
  EXPECT_EQ(counts(), (Counts{{0x11000000, 2}, {0x22000000, 1}}));
  EXPECT_EQ(counts(0x3f00), (Counts{{0x3f00, 2}}));
  EXPECT_EQ(counts(0), Counts{});
}

TEST_F(MarkedTest, AreForgottenInBothFamiliesAndOthersAreNot) {
  for (const Family family : kFamilies) {
    makeConnection({.family = family, .mark = Mark{0x11000000}, .port = 1});
    makeConnection({.family = family, .mark = Mark{0x11003f07}, .port = 2, .answered = true});
    makeConnection({.family = family, .mark = Mark{0x12003f07}, .port = 3});
    makeConnection({.family = family, .mark = Mark{0x00000011}, .port = 4});
  }
  expectDone(conntrack_.forgetMarked({0x11000000, kMask}));
  EXPECT_EQ(counts(), (Counts{{0x12000000, 2}}));
  EXPECT_EQ(counts(0xff), (Counts{{0x07, 2}, {0x11, 2}}));
  expectDone(conntrack_.forgetMarked({0x11000000, kMask}));
}

TEST_F(MarkedTest, OthersAreNeverForgotten) {
  makeConnection({.mark = Mark{0x11000000}, .port = 1});
  makeConnection({.mark = Mark{0x11}, .port = 2});
  IdleWatch watch{std::chrono::seconds{1}};
  const auto expectRefused = [](const auto& done) {
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::refused);
  };
  for (const MarkMatch mark : {MarkMatch{0, 0}, MarkMatch{0, kMask}, MarkMatch{0x11000000, 0}}) {
    expectRefused(conntrack_.forgetMarked(mark));
    expectRefused(conntrack_.forgetUnanswered(mark, Family::v4));
    expectRefused(conntrack_.forgetIdle(mark, Family::v4, watch, {}));
  }
  EXPECT_EQ(counts(0xffffffff), (Counts{{0x11000000, 1}, {0x11, 1}}));
}

TEST_F(MarkedTest, NothingThereIsSuccess) {
  expectDone(conntrack_.forgetMarked({0x11000000, kMask}));
  expectForgotten(conntrack_.forgetUnanswered({0x11000000, kMask}, Family::v4), 0);
}

TEST_F(MarkedTest, OnlyTheUnansweredAreForgotten) {
  for (const Family family : kFamilies) {
    makeConnection({.family = family, .mark = Mark{0x11000001}, .port = 1});
    makeConnection({.family = family, .mark = Mark{0x11000002}, .port = 2, .answered = true});
    makeConnection({.family = family, .mark = Mark{0x12000003}, .port = 3});
  }
  expectForgotten(conntrack_.forgetUnanswered({0x11000000, kMask}, Family::v6), 1);
  EXPECT_EQ(counts(0xffffffff), (Counts{{0x11000001, 1}, {0x11000002, 2}, {0x12000003, 2}}));
  expectForgotten(conntrack_.forgetUnanswered({0x11000000, kMask}, Family::v4), 1);
  EXPECT_EQ(counts(0xffffffff), (Counts{{0x11000002, 2}, {0x12000003, 2}}));
}

/// The kernel's time goes on by itself, so the looks are moved apart by the times that the entries are given.
TEST_F(MarkedTest, OnlyTheIdleAreForgotten) {
  IdleWatch watch{std::chrono::seconds{30}};
  const MarkMatch mark{0x11000000, kMask};
  const auto lookAfter = [&](int seconds) {
    const auto drained = conntrack_.forgetIdle(mark, Family::v4, watch, std::chrono::seconds{1000 + seconds});
    EXPECT_TRUE(drained) << drained.error().toString();
    return drained ? std::pair{drained->forgotten, drained->left} : std::pair{std::size_t{99}, std::size_t{99}};
  };
  const auto drained = [](std::size_t forgotten, std::size_t left) { return std::pair{forgotten, left}; };
  makeConnection({.mark = Mark{0x11000001}, .port = 1, .seconds = 600});
  makeConnection({.mark = Mark{0x11000002}, .port = 2, .seconds = 600});
  makeConnection({.family = Family::v6, .mark = Mark{0x11000003}, .port = 2, .seconds = 600});
  makeConnection({.mark = Mark{0x12000004}, .port = 3, .seconds = 600});
  EXPECT_EQ(lookAfter(0), drained(0, 2));
  makeConnection({.mark = Mark{0x11000001}, .port = 1, .seconds = 560});
  makeConnection({.mark = Mark{0x12000004}, .port = 3, .seconds = 560});
  EXPECT_EQ(lookAfter(40), drained(1, 1));
  EXPECT_EQ(counts(0xffffffff), (Counts{{0x11000002, 1}, {0x11000003, 1}, {0x12000004, 1}}));
}

TEST_F(MarkedTest, ManyAreForgottenAndCountedWhole) {
  constexpr std::uint16_t kMany = 2000;  // more than one datagram of a dump
  for (std::uint16_t port = 1; port <= kMany; ++port) makeConnection({.mark = Mark{0x11000000}, .port = port});
  EXPECT_EQ(counts(), (Counts{{0x11000000, kMany}}));
  expectForgotten(conntrack_.forgetUnanswered({0x11000000, kMask}, Family::v4), kMany);
  EXPECT_EQ(counts(), Counts{});
}

}  // namespace
}  // namespace wgsteer::netlink

int main(int argc, char** argv) { return wgsteer::test::runInOwnNetwork(argc, argv); }
