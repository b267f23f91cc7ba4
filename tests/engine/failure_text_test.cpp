// SPDX-License-Identifier: GPL-2.0-or-later
// How failures are logged: the operation once, and devices by name.
#include "engine/failure_text.hpp"

#include <cerrno>
#include <gtest/gtest.h>

#include "support/worlds.hpp"

namespace wgsteer {
namespace {

std::string told(const Change& change, const Error& error) {
  return failureText(change, error, deviceNames(test::twoWans()));
}

TEST(Failures, SayTheirOperationOnce) {
  const std::string sysctl = "sysctl -w net.ipv4.conf.wan0.ignore_routes_with_linkdown=1";
  EXPECT_EQ(told(SetSysctl{{SysctlKind::ignoreLinkdown4, "wan0"}, true},
                 {ErrorKind::io, EROFS, sysctl + ": Read-only file system", {}}),
            sysctl + ": Read-only file system");
  const std::string mark = "wg set wg0 fwmark 0x10000000: its process does not answer";
  EXPECT_EQ(told(SetTunnelMark{.tunnel = "wg0", .mark = Mark{0x10000000}, .was = {}}, {ErrorKind::busy, 0, mark, {}}),
            mark);
  const std::string element = "nft add element inet wgsteer tunnel { \"wg0\" }: No such file or directory";
  NftTransaction transaction;
  transaction.createTable = true;
  EXPECT_EQ(told(transaction, {ErrorKind::notThere, ENOENT, element, {}}), element);
}

TEST(Failures, NameDevicesOfRoutes) {
  const Route route = test::route("0.0.0.0/0", test::kWan1, "198.51.100.1", 20);
  const std::string line = describe(Change{AddRoute{route}}, deviceNames(test::twoWans())).front();
  EXPECT_NE(line.find("dev wan1"), std::string::npos);
  EXPECT_EQ(
      told(AddRoute{route}, {ErrorKind::refused, EINVAL, "ip route add ... dev if3: Invalid argument", "Nexthop"}),
      line + ": Invalid argument (kernel: Nexthop)");
  const SetDeprecated refused{{test::kWan1, *Address::parse("2001:db8::1"), 64}, {}, true};
  EXPECT_EQ(told(refused, {ErrorKind::refused, EPERM, "ip -6 address change 2001:db8::1 dev if3", {}}),
            "ip -6 addr change 2001:db8::1/64 dev wan1 valid_lft $VALID preferred_lft 0: Operation not permitted");
}

}  // namespace
}  // namespace wgsteer
