// SPDX-License-Identifier: GPL-2.0-or-later
// What a configuration becomes on a host with netifd, with and without mwan3.
#include "foreign/complete.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "support/temp_folder.hpp"

namespace wgsteer::foreign {
namespace {

constexpr const char* kMwan3 =
    "config interface wan\noption enabled 1\noption metric 1\nconfig interface wan6\noption enabled 1\n"
    "option family ipv6\n";
constexpr const char* kNetwork =
    "config interface wan\noption proto dhcp\noption device eth1\n"
    "config interface wan6\noption proto dhcpv6\noption device @wan\n";

class CompleteTest : public ::testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) const { std::ofstream{file} << text; }
  Status complete() { return foreign::complete(config_, files_); }
  /// "NAME=DEVICE," for each WAN.
  std::string wans() const {
    std::string all;
    for (const WanConfig& wan : config_.wans) all += wan.name + "=" + wan.device + ",";
    return all;
  }
  static WanConfig wanOf(const std::string& interface) {
    WanConfig wan;
    wan.name = wan.interface = interface;
    return wan;
  }

  wgsteer::test::TempFolder temp_;
  OpenWrtFiles files_{
      .interfaces = temp_.path() / "interfaces", .mwan3 = temp_.path() / "mwan3", .network = temp_.path() / "network"};
  Config config_;
};

TEST_F(CompleteTest, NothingChangesWithoutNetifd) {
  write(files_.mwan3, kMwan3);
  ASSERT_TRUE(complete());
  EXPECT_EQ(config_, Config{});
}

TEST_F(CompleteTest, WansGetTheDevicesOfTheirInterfaces) {
  write(files_.interfaces, "wan pppoe-wan\nlte wwan0\n");
  config_.wans = {wanOf("wan"), wanOf("lte"), wanOf("cable")};
  ASSERT_TRUE(complete());
  EXPECT_TRUE(config_.netifd);
  EXPECT_EQ(wans(), "wan=pppoe-wan,lte=wwan0,cable=,");
}

TEST_F(CompleteTest, WithoutWansThoseOfMwan3AreMeant) {
  write(files_.interfaces, "wan eth1\nwan6 eth1\n");
  write(files_.mwan3, kMwan3);
  ASSERT_TRUE(complete()) << "even without a file of netifd";
  EXPECT_NE(wans().find("wan=eth1,"), std::string::npos) << wans();
  config_ = {};
  write(files_.network, kNetwork);
  ASSERT_TRUE(complete());
  EXPECT_NE(wans().find("wan=eth1,"), std::string::npos) << wans();
  config_ = {};
  config_.wans = {wanOf("lte")};
  ASSERT_TRUE(complete());
  EXPECT_EQ(wans(), "lte=,") << "its own count";
}

TEST_F(CompleteTest, AFileThatCannotBeReadDoesNotPassForNone) {
  const auto refuses = [&](const std::string& file) {
    std::filesystem::create_directory(file);
    const Status done = complete();
    std::filesystem::remove(file);
    return !done && done.error().kind == ErrorKind::io && done.error().what.starts_with(file);
  };
  EXPECT_TRUE(refuses(files_.interfaces));
  write(files_.interfaces, "");
  EXPECT_TRUE(refuses(files_.mwan3));
  write(files_.mwan3, kMwan3);
  EXPECT_TRUE(refuses(files_.network));
}

}  // namespace
}  // namespace wgsteer::foreign
