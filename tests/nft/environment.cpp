// SPDX-License-Identifier: GPL-2.0-or-later
#include "environment.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <string_view>

namespace wgsteer::nft::test {

void KernelTest::SetUp() {
  shell("nft flush ruleset");
  auto opened = Nft::open();
  ASSERT_TRUE(opened.has_value()) << opened.error().toString();
  nft_ = std::move(*opened);
}

NftState KernelTest::observed() {
  const auto state = nft_->observe(numbers_);
  EXPECT_TRUE(state.has_value()) << state.error().toString();
  EXPECT_TRUE(state && *state) << "there is no table";
  return state && *state ? **state : NftState{};
}

std::size_t KernelTest::converge(const std::optional<NftState>& desired) {
  const auto before = nft_->observe(numbers_);
  EXPECT_TRUE(before.has_value()) << before.error().toString();
  if (!before) return 0;
  State target;
  target.nft = desired;
  State present;
  present.nft = *before;
  const Plan plan = diff(target, present);
  for (const Change& change : plan.changes) {
    const auto* transaction = std::get_if<NftTransaction>(&change);
    if (transaction == nullptr) continue;
    const Status status = nft_->commit(*transaction, numbers_);
    EXPECT_TRUE(status.has_value()) << status.error().toString();
  }
  return plan.changes.size();
}

NftState exampleState() {
  const Address wan0 = Address::v4(192, 0, 2, 2);
  const Address wan1 = Address::v4(198, 51, 100, 2);
  NftState state;
  state.layout = {.markMask = kDefaultMarkMask, .forward = true, .intact = true};
  state.table.wans = {{"wan0", Slot{1}}, {"wan1", Slot{2}}};
  state.table.addresses = {{"wan0", wan0}, {"wan1", wan1}, {"wan0", *Address::parse("2001:db8::2")}};
  state.table.bound = {wan0, wan1, *Address::parse("2001:db8::2")};
  state.table.sources = {{{"wan0", Family::v4}, wan0},
                         {{"wan1", Family::v4}, wan1},
                         {{"wan0", Family::v6}, *Address::parse("2001:db8::2")}};
  state.table.policySources = {{{Mark{0xf0000000}, Family::v4}, wan0},
                               {{Mark{0x20000000}, Family::v4}, wan1},
                               {{Mark{0xf0000000}, Family::v6}, *Address::parse("2001:db8::2")}};
  state.table.policies = {Slot{2}, Slot{15}};
  state.table.endpoints = {{*Endpoint::parse("203.0.113.55:51820"), Slot{15}},
                           {*Endpoint::parse("203.0.113.56:51820"), std::nullopt},
                           {*Endpoint::parse("[2001:db8:ffff::55]:443"), Slot{2}}};
  state.table.flows = {{{*Endpoint::parse("203.0.113.55:51820"), 51820}, Slot{2}},
                       {{*Endpoint::parse("203.0.113.55:51820"), 51821}, std::nullopt},
                       {{*Endpoint::parse("[2001:db8:ffff::55]:443"), 51820}, Slot{15}}};
  state.table.flowPorts = {51820, 51821};
  state.table.listenPorts = {51820};
  state.table.tunnels = {"wg0"};
  state.table.foreignMarks = {Mark{0xca6c}};
  state.table.ownMarks = {{Mark{0x10000000}, true}, {Mark{0x20000000}, false}, {Mark{0xf0000000}, true}};
  state.table.changedSysctls = {{SysctlKind::ignoreLinkdown4, "wan0"}, {SysctlKind::srcValidMark, "wan1"}};
  state.table.deprecated = {{*Address::parse("2001:db8:a::1"), {.preferred = {1800}, .written = 0x1234}},
                            {*Address::parse("2001:db8:a:1::1"), {.preferred = {}, .written = 0}}};
  return state;
}

}  // namespace wgsteer::nft::test

namespace {

/// Why these tests cannot run here; empty if they can.
std::string obstacle() {
  if (::unshare(CLONE_NEWNET) != 0) return std::string("no network namespace of our own: ") + std::strerror(errno);
  if (std::system("nft list ruleset >/dev/null 2>&1 && ip link set lo up") != 0) return "nft or ip do not work here";
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (const std::string why = obstacle(); !why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    const char* ci = std::getenv("CI");
    return ci != nullptr && std::string_view(ci) == "true" ? 1 : 77;
  }
  return RUN_ALL_TESTS();
}
