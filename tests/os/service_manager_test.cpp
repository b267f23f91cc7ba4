// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/service_manager.hpp"

#include <gtest/gtest.h>

namespace wgsteer::os {
namespace {

TEST(ServiceManager, KnowsTheUnitByTheCgroup) {
  EXPECT_EQ(unitOf("0::/system.slice/wgsteer.service\n"), "wgsteer.service");
  EXPECT_EQ(unitOf("0::/system.slice/system-wgsteer.slice/wgsteer@lab.service"), "wgsteer@lab.service");
  EXPECT_EQ(unitOf("12:pids:/\n1:name=systemd:/system.slice/wgsteer.service\n0::/\n"), "wgsteer.service");
}

TEST(ServiceManager, TakesNothingElseForAUnit) {
  EXPECT_EQ(unitOf(""), "");
  EXPECT_EQ(unitOf("0::/\n"), "");
  EXPECT_EQ(unitOf("0::/user.slice/user-0.slice/session-3.scope\n"), "");
  EXPECT_EQ(unitOf("0::/machine.slice/libpod-1.scope/container"), "");
}

}  // namespace
}  // namespace wgsteer::os
