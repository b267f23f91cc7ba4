// SPDX-License-Identifier: GPL-2.0-or-later
// A callback about a WAN may start watching other WANs.
#include "daemon/wan_monitor.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <sys/resource.h>
#include <unistd.h>

#include "support/netns.hpp"

namespace wgsteer {
namespace {

/// A link that exists in the world but not in the kernel: every round of probes fails at once.
constexpr const char* kDevice = "gone0";

class Monitoring : public test::OwnNetwork {
 protected:
  static Config configOf(const std::vector<std::string>& names) {
    Config config;
    for (const std::string& name : names) {
      WanConfig wan{.name = name,
                    .device = kDevice,
                    .trackIp = {{Address::v4(192, 0, 2, 1), 0}},
                    .trackMethod = TrackMethod::icmp};
      wan.down = 1;
      wan.up = 1;
      config.wans.push_back(std::move(wan));
    }
    return config;
  }
  void watch(const std::vector<std::string>& names) {
    const Config config = configOf(names);
    Steering steering;
    for (const WanConfig& wan : config.wans) {
      steering.wans.push_back({.name = wan.name, .device = wan.device});
      steering.wans.back().link = &link_;
    }
    monitor_.watch(config, steering);
  }
  static bool usable(const WanVerdicts& verdicts) { return verdicts.at(Family::v4).usable; }

  const Link link_{.index = IfIndex{7}, .name = kDevice, .up = true, .carrier = true};

  os::EventLoop loop_{std::move(*os::EventLoop::create())};
  os::DirectoryWatches directories_{loop_};
  WanOverrides::ByName byHand_;
  std::function<void()> onChange_;
  std::vector<std::string> told_;
  WanMonitor monitor_{
      loop_,
      directories_,
      byHand_,
      {.changed =
           [this](const auto&) {
             if (onChange_) onChange_();
           },
       .verdict = [this](const std::string& name, const WanVerdicts&, const WanVerdicts&) { told_.push_back(name); }}};
};

TEST_F(Monitoring, WhoeverIsToldMayHaveOthersWatched) {
  watch({"a", "b", "c"});
  int changes = 0;
  onChange_ = [&] {
    if (++changes == 1) watch({"b", "d"});
  };
  monitor_.actOnLook();
  EXPECT_GE(changes, 1);
  monitor_.actOnLook();
  EXPECT_TRUE(monitor_.verdicts().contains("d"));
  EXPECT_FALSE(monitor_.verdicts().contains("a"));
  EXPECT_FALSE(usable(monitor_.verdicts().at("d"))) << "and they are";
}

TEST_F(Monitoring, AnEndedWansTimerTellsNobody) {
  watch({"a"});
  monitor_.actOnLook();
  EXPECT_FALSE(usable(monitor_.verdicts().at("a")));
  onChange_ = [this] { watch({}); };
  byHand_["a"] = {.up = true, .reason = {}};
  monitor_.overridesChanged();
  EXPECT_TRUE(monitor_.targets().empty());
}

TEST_F(Monitoring, WhatCannotBeWatchedIsUsedAndTriedAgain) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const os::Fd lowest{dup(STDERR_FILENO)};
  // At the first call of each type, UBSan uses a pipe to test whether an object is readable.
  watch({});
  const rlimit none{.rlim_cur = static_cast<rlim_t>(lowest.get()) + 1, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  watch({"a"});
  monitor_.retry();
  EXPECT_TRUE(usable(monitor_.verdicts().at("a")));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  monitor_.retry();
  EXPECT_FALSE(usable(monitor_.verdicts().at("a"))) << "it is probed now";
}

}  // namespace
}  // namespace wgsteer
