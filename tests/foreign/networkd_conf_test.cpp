// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/networkd_conf.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "foreign/networkd_check.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer::foreign {
namespace {

/// /etc and /usr/lib of a host.
class NetworkdConfTest : public ::testing::Test {
 protected:
  NetworkdConfTest() {
    for (const char* folder : {"/etc/networkd.conf.d", "/lib/networkd.conf.d"})
      std::filesystem::create_directories(root_ + folder);
  }
  void write(const std::string& file, const std::string& text) const { std::ofstream{root_ + file} << text; }
  const std::string& root() const { return root_; }
  NetworkdConf read() const { return readNetworkdConf({root_ + "/etc", root_ + "/lib"}); }

 private:
  wgsteer::test::TempFolder temp_;
  std::string root_ = temp_.path();
};

TEST_F(NetworkdConfTest, ForeignRulesAndRoutesAreDeletedByDefault) {
  EXPECT_TRUE(read().managesForeignRules);
  EXPECT_TRUE(read().managesForeignRoutes);
  EXPECT_TRUE(readNetworkdConf({"/nowhere"}).managesForeignRules);
}

TEST_F(NetworkdConfTest, OnlyTheSectionNetworkAndOnlyFilesEndingInConfCount) {
  write("/etc/networkd.conf", "[DHCPv4]\nManageForeignRoutes=no\n[Network]\n# ManageForeignRoutes=no\n");
  write("/etc/networkd.conf.d/a.conf.dpkg-old", "[Network]\nManageForeignRoutingPolicyRules=no\n");
  EXPECT_TRUE(read().managesForeignRules);
  EXPECT_TRUE(read().managesForeignRoutes);
}

TEST_F(NetworkdConfTest, DropInsOverrideTheFileInTheOrderOfTheirNames) {
  write("/etc/networkd.conf", "[Network]\n ManageForeignRoutes = off \nManageForeignRoutingPolicyRules=0\n");
  write("/lib/networkd.conf.d/50-wgsteer.conf", "[Network]\nManageForeignRoutes=no\n");
  EXPECT_FALSE(read().managesForeignRules);
  EXPECT_FALSE(read().managesForeignRoutes);
  write("/etc/networkd.conf.d/60-mine.conf", "[Network]\nManageForeignRoutes=yes\nManageForeignRoutingPolicyRules=?\n");
  EXPECT_FALSE(read().managesForeignRules);
  EXPECT_TRUE(read().managesForeignRoutes);
}

TEST_F(NetworkdConfTest, ADropInReplacesThatOfTheSameNameInALaterFolder) {
  write("/lib/networkd.conf.d/50-wgsteer.conf", "[Network]\nManageForeignRoutes=no\n");
  EXPECT_FALSE(read().managesForeignRoutes);
  write("/etc/networkd.conf.d/50-wgsteer.conf", "");
  EXPECT_TRUE(read().managesForeignRoutes);
}

TEST_F(NetworkdConfTest, EachKindThatIsDeletedIsAdviceWhileItRuns) {
  write("/state", "");
  const std::string state = root() + "/state";
  EXPECT_EQ(inspectNetworkd({}, state).size(), 2U);
  EXPECT_TRUE(inspectNetworkd({}, root() + "/none").empty());
  const auto rules = inspectNetworkd({.managesForeignRules = true, .managesForeignRoutes = false}, state);
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].severity, Severity::advice);
  EXPECT_TRUE(rules[0].fix.starts_with("set ManageForeignRoutingPolicyRules=no")) << rules[0].fix;
  EXPECT_TRUE(inspectNetworkd({.managesForeignRules = false, .managesForeignRoutes = false}, state).empty());
}

}  // namespace
}  // namespace wgsteer::foreign
