// SPDX-License-Identifier: GPL-2.0-or-later
// Other programs change the same ruleset: changes to our table are noticed, their own tables are left alone.
#include <sys/socket.h>

#include "environment.hpp"

namespace wgsteer::nft::test {

class NftTamper : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    const Status status = nft_->subscribe();
    ASSERT_TRUE(status.has_value()) << status.error().toString();
    converge(exampleState());
    ASSERT_FALSE(nft_->drain()) << "our own commit is no news";
  }
};

TEST_F(NftTamper, OwnCommitsAreNoNews) {
  NftState state = exampleState();
  state.table.policies.insert(Slot{7});
  state.table.wans.erase("wan1");
  for (std::uint16_t port = 1; port < 5000; ++port)
    state.table.endpoints.edit().emplace(Endpoint{Address::v4(203, 0, 113, 9), port}, Slot{7});
  converge(state);
  EXPECT_FALSE(nft_->drain());
  converge(std::nullopt);
  EXPECT_FALSE(nft_->drain());
}

TEST_F(NftTamper, AnAddedRuleIsSeen) {
  shell("nft add rule inet wgsteer policy_2 drop");
  EXPECT_TRUE(nft_->drain());
  EXPECT_TRUE(nft_->lastActor().starts_with("nft (pid ")) << nft_->lastActor();
  EXPECT_FALSE(nft_->drain()) << "once";
  EXPECT_FALSE(observed().layout.intact);
  EXPECT_EQ(observed().table, exampleState().table);
  converge(exampleState());
  EXPECT_EQ(observed(), exampleState());
}

TEST_F(NftTamper, ADeletedElementIsSeen) {
  shell("nft delete element inet wgsteer endpoint4 '{ 203.0.113.55 . 51820 }'");
  EXPECT_TRUE(nft_->drain());
  NftState expected = exampleState();
  expected.table.endpoints.edit().erase(*Endpoint::parse("203.0.113.55:51820"));
  EXPECT_EQ(observed(), expected);
}

TEST_F(NftTamper, AFlushedChainIsSeen) {
  shell("nft flush chain inet wgsteer source");
  EXPECT_TRUE(nft_->drain());
  EXPECT_FALSE(observed().layout.intact);
}

TEST_F(NftTamper, ADeletedTableIsSeen) {
  shell("nft delete table inet wgsteer");
  EXPECT_TRUE(nft_->drain());
  const auto state = nft_->observe(numbers_);
  ASSERT_TRUE(state.has_value()) << state.error().toString();
  EXPECT_FALSE(state->has_value());
}

TEST_F(NftTamper, AFlushedRulesetIsSeenAndRepaired) {
  shell("nft flush ruleset");
  EXPECT_TRUE(nft_->drain());
  converge(exampleState());
  EXPECT_EQ(observed(), exampleState());
}

struct Tampering {
  const char* name;
  const char* command;
};

class NftFixedParts : public NftTamper, public ::testing::WithParamInterface<Tampering> {};

TEST_P(NftFixedParts, AreNotIntactAfterwardsAndAreRepaired) {
  shell(GetParam().command);
  EXPECT_TRUE(nft_->drain());
  EXPECT_FALSE(observed().layout.intact);
  converge(exampleState());
  EXPECT_EQ(observed(), exampleState());
}

INSTANTIATE_TEST_SUITE_P(
    Tampered, NftFixedParts,
    ::testing::Values(Tampering{"AddedChain", "nft add chain inet wgsteer extra"},
                      Tampering{"AddedSet", "nft add set inet wgsteer extra '{ type mark; }'"},
                      Tampering{"AddedCounter", "nft add counter inet wgsteer extra"},
                      Tampering{"AddedQuota", "nft add quota inet wgsteer extra '{ over 1 mbytes; }'"},
                      Tampering{"AddedPolicyChain", "nft add chain inet wgsteer policy_3"},
                      Tampering{"Policy", "nft add chain inet wgsteer output '{ policy drop; }'"},
                      Tampering{"Verdict", "nft add element inet wgsteer endpoint4 '{ 203.0.113.99 . 1 : drop }'"},
                      Tampering{"WanAlone", "nft add element inet wgsteer wan '{ \"eth9\" }'"},
                      Tampering{"ArrivalAlone", "nft add element inet wgsteer arrival '{ \"eth9\" : goto wan_1 }'"},
                      Tampering{"RuleOrder", "nft insert rule inet wgsteer prerouting counter"}),
    [](const auto& instance) { return std::string(instance.param.name); });

class NftForeign : public KernelTest {};

TEST_F(NftForeign, OtherTablesAreNoNewsAndStayAsTheyAre) {
  shell(
      "nft add table ip wgsteer; nft add chain ip wgsteer output '{ type filter hook output priority 0; }';"
      "nft add rule ip wgsteer output counter; nft add table inet fw4; nft add set inet fw4 wan '{ type ifname; }';"
      "nft add element inet fw4 wan '{ \"wan0\" }'; nft add rule ip wgsteer output oifname wan0 accept");
  const std::string others = shell("nft list table ip wgsteer; nft list table inet fw4");
  ASSERT_TRUE(nft_->subscribe().has_value());
  converge(exampleState());
  converge(std::nullopt);
  converge(exampleState());
  EXPECT_EQ(shell("nft list table ip wgsteer; nft list table inet fw4"), others);
  shell("nft add element inet fw4 wan '{ \"wan1\" }'; nft add chain ip wgsteer more");
  EXPECT_FALSE(nft_->drain());
  EXPECT_EQ(observed(), exampleState());
}

TEST_F(NftForeign, ATableOfOurNameThatIsNotOursIsRefusedAndStays) {
  shell("nft add table inet wgsteer; nft add chain inet wgsteer theirs");
  const std::string before = shell("nft list ruleset");
  const auto found = nft_->look(numbers_);
  ASSERT_TRUE(found.has_value()) << found.error().toString();
  EXPECT_TRUE(found->foreign);
  EXPECT_FALSE(found->ours.has_value());
  const NftLayout layout = exampleState().layout;
  EXPECT_FALSE(nft_->commit({.deleteTable = true, .createTable = true, .layout = layout, .ops = {}}, numbers_));
  EXPECT_FALSE(nft_->commit({.deleteTable = false, .createTable = true, .layout = layout, .ops = {}}, numbers_));
  EXPECT_EQ(shell("nft list ruleset"), before);
}

TEST_F(NftForeign, LostEventsAreNews) {
  ASSERT_TRUE(nft_->subscribe().has_value());
  const int tiny = 1;
  ASSERT_EQ(::setsockopt(nft_->eventDescriptor(), SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny), 0);
  shell("for table in 1 2 3 4 5 6 7 8; do nft add table inet other$table; done");
  EXPECT_TRUE(nft_->drain());
  EXPECT_FALSE(nft_->drain());
}

TEST_F(NftForeign, AnOlderLayoutOfOursIsReplaced) {
  shell("nft add table inet wgsteer '{ comment \"wgsteer 0\"; }'; nft add set inet wgsteer wan '{ type ifname; }'");
  EXPECT_FALSE(observed().layout.intact);
  converge(exampleState());
  EXPECT_EQ(observed(), exampleState());
}

}  // namespace wgsteer::nft::test
