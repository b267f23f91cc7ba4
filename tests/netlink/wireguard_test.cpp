// SPDX-License-Identifier: GPL-2.0-or-later
// One tunnel that misbehaves, and the effect on the others.
#include "netlink/wireguard.hpp"

#include <filesystem>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "netlink/uapi_server.hpp"
#include "os/timer.hpp"

namespace wgsteer::netlink {
namespace {

using test::DeafServer;
using test::SocketFolder;
using test::TalkingServer;

std::string goodAnswer(const std::string& request) {
  return request.starts_with("set=1\n") ? "errno=0\n\n" : "listen_port=7\nfwmark=1\nerrno=0\n\n";
}

class WireGuardTest : public ::testing::Test {
 protected:
  void add(std::int32_t index, const std::string& name, const std::string& kind = "tun") {
    Link link;
    link.index = {index};
    link.name = name;
    link.kind = kind;
    links_.emplace(link.index, link);
  }
  std::map<IfName, Tunnel> observe() {
    auto seen = wireGuard_.observe(links_);
    EXPECT_TRUE(seen) << seen.error().toString();
    if (!seen) return {};
    troubles_ = std::move(seen->troubles);
    return std::move(seen->tunnels);
  }

  SocketFolder folder_;
  std::map<IfIndex, Link> links_;
  WireGuard wireGuard_{{folder_.path()}};
  std::map<IfName, std::string> troubles_;  ///< of the last look
};

TEST_F(WireGuardTest, NoLinksNoTunnels) { EXPECT_TRUE(observe().empty()); }

TEST_F(WireGuardTest, FindsTunDevicesThatHaveASocket) {
  add(2, "wg0");
  add(3, "openvpn0");
  const TalkingServer server{folder_, "wg0", goodAnswer};
  const auto tunnels = observe();
  ASSERT_EQ(tunnels.size(), 1U);
  EXPECT_EQ(tunnels.at("wg0").backend, TunnelBackend::userspace);
  EXPECT_EQ(tunnels.at("wg0").listenPort, 7);
}

TEST_F(WireGuardTest, ASocketWithoutItsDeviceIsNotAsked) {
  add(2, "wg0", "dummy");
  const TalkingServer server{folder_, "wg0", goodAnswer};
  EXPECT_TRUE(observe().empty());
}

TEST_F(WireGuardTest, ADeviceThatIsGoneIsLeftOut) {
  add(2, "wg0");
  add(3, "wg1");
  const TalkingServer server{folder_, "wg1", goodAnswer};
  TalkingServer ending{folder_, "wg0", goodAnswer};
  EXPECT_EQ(observe().size(), 2U);
  ending.stop();
  EXPECT_EQ(observe().size(), 2U) << "its device is still there, and may still send";
  EXPECT_TRUE(troubles_.empty()) << "it is ending, as tunnels do";
  links_.erase(IfIndex{2});
  const auto tunnels = observe();
  EXPECT_EQ(tunnels.size(), 1U);
  EXPECT_TRUE(tunnels.contains("wg1"));
}

TEST_F(WireGuardTest, ADeviceThatHasLostItsSocketStaysATunnel) {
  add(2, "wg0");
  const TalkingServer server{folder_, "wg0", goodAnswer};
  const auto before = observe();
  const std::string path = folder_.path() + "/wg0.sock";
  std::filesystem::rename(path, path + ".away");
  EXPECT_EQ(observe(), before);
  std::filesystem::rename(path + ".away", path);
  EXPECT_EQ(observe(), before);
  EXPECT_TRUE(troubles_.empty());
}

TEST_F(WireGuardTest, AKernelTunnelWithoutItsFamilyIsLeftOut) {
  // There is no such device in any case: ENODEV where the module is, no family where it is not.
  add(2, "wgsteer-none0", "wireguard");
  add(3, "wgsteer-none1", "amneziawg");
  EXPECT_TRUE(observe().empty());
}

class Misbehaving : public WireGuardTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(Misbehaving, DoesNotHideTheOthers) {
  add(2, "wg0");
  add(3, "wg1");
  const TalkingServer other{folder_, "wg1", goodAnswer};
  const TalkingServer odd{folder_, "wg0", [](const std::string&) { return std::string{GetParam()}; }};
  const auto never = observe();
  EXPECT_EQ(never.size(), 1U) << "it has never said what it is";
  EXPECT_TRUE(never.contains("wg1"));
  EXPECT_EQ(troubles_.size(), 1U);
  EXPECT_TRUE(troubles_.contains("wg0")) << "but it is a tunnel, and somebody should know";
}

TEST_P(Misbehaving, IsWhatItWasLastTime) {
  add(2, "wg0");
  std::map<IfName, Tunnel> first;
  {
    const TalkingServer good{folder_, "wg0", goodAnswer};
    first = observe();
    EXPECT_TRUE(wireGuard_.setFwmark(first.at("wg0"), Mark{9}));
  }
  ASSERT_EQ(first.size(), 1U);
  std::filesystem::remove(folder_.path() + "/wg0.sock");
  const TalkingServer odd{folder_, "wg0", [](const std::string&) { return std::string{GetParam()}; }};
  first.at("wg0").fwmark = Mark{9};
  EXPECT_EQ(observe(), first);
  EXPECT_EQ(observe(), first);
}

INSTANTIATE_TEST_SUITE_P(Uapi, Misbehaving,
                         ::testing::Values("", "listen_port=1\n", "nonsense\n\n", "errno=5\n\n",
                                           "public_key=abc\nerrno=0\n\n"));

TEST_F(WireGuardTest, AProcessThatHangsIsWhatItWasLastTime) {
  add(2, "wg0");
  std::map<IfName, Tunnel> first;
  {
    const TalkingServer good{folder_, "wg0", goodAnswer};
    first = observe();
  }
  ASSERT_EQ(first.size(), 1U);
  std::filesystem::remove(folder_.path() + "/wg0.sock");
  const DeafServer hung{folder_, "wg0"};
  EXPECT_EQ(observe(), first);
  EXPECT_TRUE(troubles_.empty()) << "it may be busy for a moment";
  const auto begin = os::monotonicNow();
  while (troubles_.empty() && os::monotonicNow() - begin < std::chrono::seconds{10}) EXPECT_EQ(observe(), first);
  EXPECT_EQ(troubles_["wg0"], "wg show wg0: its process does not answer");
}

TEST_F(WireGuardTest, AnotherDeviceOfItsNameIsNotWhatThatOneWas) {
  add(2, "wg0");
  {
    const TalkingServer good{folder_, "wg0", goodAnswer};
    EXPECT_EQ(observe().size(), 1U);
  }
  std::filesystem::remove(folder_.path() + "/wg0.sock");
  const DeafServer hung{folder_, "wg0"};
  links_.clear();
  add(3, "wg0");
  EXPECT_TRUE(observe().empty());
  EXPECT_TRUE(troubles_.contains("wg0"));
}

bool becomesReadable(int descriptor, int milliseconds = 5000) {
  pollfd wait{.fd = descriptor, .events = POLLIN, .revents = 0};
  return ::poll(&wait, 1, milliseconds) == 1;
}

TEST_F(WireGuardTest, ADeviceThatHasNoSocketYetIsLookedAtAgainAFewTimes) {
  ASSERT_TRUE(wireGuard_.subscribe());
  add(2, "wg0");
  EXPECT_TRUE(observe().empty());
  int looks = 0;
  while (becomesReadable(wireGuard_.descriptor(), 1000)) {
    EXPECT_TRUE(wireGuard_.drain());
    EXPECT_TRUE(observe().empty());
    ++looks;
  }
  // On a busy machine, one look may replace two.
  EXPECT_GE(looks, 3);
  EXPECT_LE(looks, 6) << "the poll is soon enough by now";
  // What it lacked is there now: the looks start over, because its peers come even later.
  const TalkingServer server{folder_, "wg0", goodAnswer};
  EXPECT_EQ(observe().size(), 1U);
  EXPECT_TRUE(becomesReadable(wireGuard_.descriptor()));
}

TEST_F(WireGuardTest, AnAnswerThatComesLateWakesUs) {
  ASSERT_TRUE(wireGuard_.subscribe());
  add(2, "wg0");
  const DeafServer server{folder_, "wg0"};
  EXPECT_TRUE(observe().empty());
  // First the looks that are due anyway.
  while (becomesReadable(wireGuard_.descriptor(), 1000)) {
    wireGuard_.drain();
    observe();
  }
  const os::Fd connection{::accept4(server.descriptor(), nullptr, nullptr, SOCK_CLOEXEC)};
  const std::string answer = goodAnswer("get=1\n\n");
  ASSERT_EQ(::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
  ASSERT_TRUE(becomesReadable(wireGuard_.descriptor()));
  EXPECT_TRUE(wireGuard_.drain());
  EXPECT_EQ(observe().size(), 1U);
}

/// Each look asks all of them: with two that are late every time, there would be no end to it.
TEST_F(WireGuardTest, ALateAnswerOfATunnelThatIsKnownWaitsForThePoll) {
  ASSERT_TRUE(wireGuard_.subscribe());
  add(2, "wg0");
  const std::string answer = "listen_port=7\npublic_key=" + std::string(64, 'a') + "\nerrno=0\n\n";
  {
    const TalkingServer good{folder_, "wg0", [&](const std::string&) { return answer; }};
    ASSERT_EQ(observe().size(), 1U);
  }
  std::filesystem::remove(folder_.path() + "/wg0.sock");
  const DeafServer slow{folder_, "wg0"};
  EXPECT_EQ(observe().size(), 1U);
  const os::Fd connection{::accept4(slow.descriptor(), nullptr, nullptr, SOCK_CLOEXEC)};
  ASSERT_EQ(::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
  EXPECT_FALSE(becomesReadable(wireGuard_.descriptor(), 300));
  EXPECT_EQ(observe().size(), 1U);
}

TEST(NextLook, ComesAFewTimesWhileADeviceIsYoung) {
  using std::chrono::milliseconds;
  EXPECT_EQ(nextLook(milliseconds{0}), milliseconds{10});
  EXPECT_EQ(nextLook(milliseconds{10}), milliseconds{20});
  EXPECT_EQ(nextLook(milliseconds{151}), milliseconds{159});
  EXPECT_EQ(nextLook(milliseconds{630}), std::nullopt);
}

TEST_F(WireGuardTest, WhatWasKnownOfADeviceEndsWithIt) {
  add(2, "wg0");
  {
    const TalkingServer good{folder_, "wg0", goodAnswer};
    EXPECT_EQ(observe().size(), 1U);
  }
  links_.clear();
  EXPECT_TRUE(observe().empty());
  std::filesystem::remove(folder_.path() + "/wg0.sock");
  add(2, "wg0");
  const DeafServer another{folder_, "wg0"};
  EXPECT_TRUE(observe().empty());
}

}  // namespace
}  // namespace wgsteer::netlink
