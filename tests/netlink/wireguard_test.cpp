// SPDX-License-Identifier: GPL-2.0-or-later
// One tunnel that misbehaves, and what becomes of the others.
#include "netlink/wireguard.hpp"

#include <filesystem>
#include <gtest/gtest.h>

#include "netlink/uapi_server.hpp"

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
    const auto tunnels = wireGuard_.observe(links_);
    EXPECT_TRUE(tunnels) << tunnels.error().toString();
    return tunnels.value_or(std::map<IfName, Tunnel>{});
  }

  SocketFolder folder_;
  std::map<IfIndex, Link> links_;
  WireGuard wireGuard_{folder_.path()};
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

TEST_F(WireGuardTest, ADeviceThatIsGoneMeanwhileIsLeftOut) {
  add(2, "wg0");
  add(3, "wg1");
  const TalkingServer server{folder_, "wg1", goodAnswer};
  TalkingServer ending{folder_, "wg0", goodAnswer};
  EXPECT_EQ(observe().size(), 2U);
  ending.stop();
  const auto tunnels = observe();
  EXPECT_EQ(tunnels.size(), 1U);
  EXPECT_TRUE(tunnels.contains("wg1"));
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
}

TEST_F(WireGuardTest, WhatWasKnownOfADeviceEndsWithIt) {
  add(2, "wg0");
  {
    const TalkingServer good{folder_, "wg0", goodAnswer};
    EXPECT_EQ(observe().size(), 1U);
  }
  EXPECT_TRUE(observe().empty());
  std::filesystem::remove(folder_.path() + "/wg0.sock");
  const DeafServer another{folder_, "wg0"};
  EXPECT_TRUE(observe().empty());
}

}  // namespace
}  // namespace wgsteer::netlink
