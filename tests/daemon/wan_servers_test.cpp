// SPDX-License-Identifier: GPL-2.0-or-later
#include <fstream>
#include <gtest/gtest.h>

#include "daemon/wan_resolvers.hpp"
#include "support/temp_folder.hpp"
#include "support/worlds.hpp"

namespace wgsteer {
namespace {

using namespace test;

std::vector<Address> addresses(const std::vector<const char*>& texts) {
  std::vector<Address> all;
  for (const char* text : texts) all.push_back(*Address::parse(text));
  return all;
}

class WanServersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ofstream{folder_ + "/" + std::to_string(kWan0.value)} << "DNS=192.0.2.53 2001:db8:10::53\n";
    files_ = {.netifd = folder_ + "/none", .interfaces = folder_ + "/none", .networkd = folder_};
  }
  std::vector<WanServers> servers() const { return serversOfWans(config_, steer(config_, world_), files_); }

  test::TempFolder temp_;
  std::string folder_ = temp_.path();
  foreign::LinkServerFiles files_;
  Config config_ = fiberAndLte();
  World world_ = twoWans();
};

TEST_F(WanServersTest, AreThoseOfTheLinkByTheWansMark) {
  const WanServers fiber{"fiber", "wan0", Mark{0x10000000}, addresses({"192.0.2.53", "2001:db8:10::53"})};
  EXPECT_EQ(servers(), (std::vector{fiber}));
}

TEST_F(WanServersTest, AreThoseOfTheOptionIfThereIsOne) {
  config_.wans[0].dns = addresses({"9.9.9.9"});
  ASSERT_EQ(servers().size(), 1U);
  EXPECT_EQ(servers()[0].servers, addresses({"9.9.9.9"}));
}

TEST_F(WanServersTest, ComeInTheOrderOfTheWans) {
  config_.wans[1].dns = addresses({"9.9.9.9"});
  ASSERT_EQ(servers().size(), 2U);
  EXPECT_EQ(servers()[0].wan, "fiber");
  config_.wans[0].metric = 3;
  EXPECT_EQ(servers()[0].wan, "lte");
}

TEST_F(WanServersTest, OfAWanThatIsNotUsableAreNotAsked) {
  config_.wans[1].dns = addresses({"9.9.9.9"});
  world_.wansDown = {{"fiber", "silent"}};
  ASSERT_EQ(servers().size(), 1U);
  EXPECT_EQ(servers()[0].wan, "lte");
  world_.links.erase(kWan1);
  EXPECT_TRUE(servers().empty());
}

TEST_F(WanServersTest, OfAFamilyThatIsNotUsableAreNotAsked) {
  config_.wans[0].dns = addresses({"9.9.9.9", "2620:fe::fe"});
  world_.wansDown["fiber"].why[Family::v4] = "silent";
  ASSERT_FALSE(servers().empty());
  EXPECT_EQ(servers()[0].wan, "fiber");
  EXPECT_EQ(servers()[0].servers, addresses({"2620:fe::fe"}));
}

}  // namespace
}  // namespace wgsteer
