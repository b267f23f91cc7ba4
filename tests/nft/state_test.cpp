// SPDX-License-Identifier: GPL-2.0-or-later
// What is committed is what is observed, whatever was there before.
#include <algorithm>
#include <chrono>
#include <numeric>
#include <random>

#include "environment.hpp"

namespace wgsteer::nft::test {

namespace {

/// Small ranges, so that successive states share and exchange much.
class RandomState {
 public:
  explicit RandomState(unsigned seed) : random_(seed) {}

  NftState next() {
    NftState state;
    state.layout = {.markMask = kDefaultMarkMask, .forward = forward_, .tunnels = forward_ || tunnels_, .intact = true};
    if (oneIn(20)) forward_ = !forward_;
    if (oneIn(20)) tunnels_ = !tunnels_;
    addWans(state.table);
    for (std::uint8_t slot = 1; slot <= 15; ++slot)
      if (oneIn(3)) state.table.policies.insert(Slot{slot});
    for (const Slot slot : state.table.policies)
      for (const Family family : kFamilies)
        if (oneIn(2)) state.table.policySources.emplace(std::pair{Numbers{}.markOf(slot), family}, address(family));
    addEndpoints(state.table);
    for (unsigned count = upTo(4); count > 0; --count)
      state.table.listenPorts.insert(static_cast<std::uint16_t>(51820 + upTo(5)));
    for (unsigned count = upTo(4); count > 0; --count)
      state.table.flowPorts.insert(static_cast<std::uint16_t>(40000 + upTo(9)));
    for (unsigned count = upTo(3); count > 0; --count)
      state.table.deprecated[address(Family::v6)] = {.preferred = {oneIn(3) ? kForever : upTo(3)}, .written = upTo(3)};
    for (unsigned count = upTo(2); count > 0; --count) state.table.tunnels.insert("wg" + std::to_string(upTo(3)));
    for (unsigned count = upTo(4); count > 0; --count) state.table.foreignMarks.insert(Mark{0xca6c + upTo(5)});
    return state;
  }

 private:
  unsigned upTo(unsigned bound) { return std::uniform_int_distribution<unsigned>(0, bound)(random_); }
  bool oneIn(unsigned count) { return upTo(count - 1) == 0; }

  Address address(Family family) {
    const auto last = static_cast<std::uint8_t>(upTo(20));
    if (family == Family::v4) return Address::v4(198, 51, 100, last);
    return *Address::parse("2001:db8::" + std::to_string(last));
  }

  void addWans(NftTable& table) {
    std::vector<std::uint8_t> slots(15);
    std::iota(slots.begin(), slots.end(), std::uint8_t{1});
    std::ranges::shuffle(slots, random_);
    for (unsigned index = 0; index < 6; ++index) {
      if (oneIn(3)) continue;
      const IfName device = index == 5 ? "fifteen-letters" : "wan" + std::to_string(index);
      table.wans.emplace(device, Slot{slots[index]});
      for (const Family family : kFamilies) {
        for (unsigned count = upTo(2); count > 0; --count) table.addresses.emplace(device, address(family));
        for (unsigned count = upTo(2); count > 0; --count) table.bound.insert(address(family));
        if (!oneIn(3)) table.sources.emplace(std::pair{device, family}, address(family));
      }
      for (const SysctlKind kind : {SysctlKind::ignoreLinkdown4, SysctlKind::ignoreLinkdown6, SysctlKind::srcValidMark})
        if (oneIn(2)) table.changedSysctls.insert({kind, device});
    }
  }

  void addEndpoints(NftTable& table) {
    const std::vector<Slot> policies(table.policies.begin(), table.policies.end());
    for (unsigned count = upTo(40); count > 0; --count) {
      const Endpoint endpoint{address(oneIn(2) ? Family::v4 : Family::v6), static_cast<std::uint16_t>(50000 + upTo(3))};
      std::optional<Slot> policy;
      if (!policies.empty() && !oneIn(4)) policy = policies[upTo(static_cast<unsigned>(policies.size()) - 1)];
      table.endpoints.edit().emplace(endpoint, policy);
      if (oneIn(3)) table.flows.edit().emplace(Flow{endpoint, static_cast<std::uint16_t>(40000 + upTo(9))}, policy);
    }
  }

  std::mt19937 random_;
  bool forward_ = false;
  bool tunnels_ = true;
};

}  // namespace

class NftStates : public KernelTest {};

TEST_F(NftStates, NothingIsObservedWhereNothingIs) {
  const auto state = nft_->observe(numbers_);
  ASSERT_TRUE(state.has_value()) << state.error().toString();
  EXPECT_FALSE(state->has_value());
}

TEST_F(NftStates, RandomStatesAreObservedAsCommitted) {
  RandomState states(1);
  for (int step = 0; step < 150; ++step) {
    const NftState desired = states.next();
    converge(desired);
    ASSERT_EQ(observed(), desired) << "step " << step << "\n" << shell("nft list table inet wgsteer");
    ASSERT_EQ(converge(desired), 0U);
  }
  converge(std::nullopt);
  EXPECT_EQ(shell("nft list ruleset"), "");
}

TEST_F(NftStates, AnotherMaskIsAnotherLayout) {
  NftState state = exampleState();
  converge(state);
  numbers_.markMask = 0x0f000000;
  EXPECT_EQ(observed().layout, (NftLayout{.markMask = 0, .forward = true, .intact = false}));
  EXPECT_EQ(observed().table, state.table);
  state.layout.markMask = numbers_.markMask;
  converge(state);
  EXPECT_EQ(observed(), state);
}

TEST_F(NftStates, WansThatExchangeTheirSlotsKeepTheChains) {
  NftState state = exampleState();
  converge(state);
  state.table.wans = {{"wan0", Slot{2}}, {"wan1", Slot{1}}};
  converge(state);
  EXPECT_EQ(observed(), state);
}

TEST_F(NftStates, TenThousandEndpointsAreOneTransaction) {
  NftState state = exampleState();
  for (unsigned index = 0; index < 10000; ++index) {
    const Address address =
        Address::v4(203, 0, static_cast<std::uint8_t>(index >> 8U), static_cast<std::uint8_t>(index));
    state.table.endpoints.edit().emplace(Endpoint{address, 51820}, Slot{15});
  }
  converge(exampleState());
  State desired;
  desired.nft = state;
  State present;
  present.nft = exampleState();
  const Plan plan = diff(desired, present);
  ASSERT_EQ(plan.changes.size(), 1U);
  const auto begin = std::chrono::steady_clock::now();
  const Status status = nft_->commit(std::get<NftTransaction>(plan.changes.front()), numbers_);
  const auto committed = std::chrono::steady_clock::now();
  ASSERT_TRUE(status.has_value()) << status.error().toString();
  EXPECT_EQ(observed(), state);
  const auto read = std::chrono::steady_clock::now();
  const std::chrono::duration<double, std::milli> writing = committed - begin;
  const std::chrono::duration<double, std::milli> reading = read - committed;
  std::printf("10000 endpoints: committed in %.1f ms, observed in %.1f ms\n", writing.count(), reading.count());
  converge(exampleState());
  EXPECT_EQ(observed(), exampleState());
}

TEST_F(NftStates, AnErrorNamesTheElementThatWasRefused) {
  converge(exampleState());
  NftTransaction transaction{.layout = exampleState().layout, .ops = {}};
  transaction.ops.push_back({true, NftEndpoint{*Endpoint::parse("203.0.113.70:1"), Slot{15}}});
  transaction.ops.push_back({true, NftEndpoint{*Endpoint::parse("203.0.113.55:51820"), Slot{2}}});
  const Status status = nft_->commit(transaction, numbers_);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::alreadyThere);
  EXPECT_TRUE(status.error().what.starts_with(
      "nft add element inet wgsteer endpoint4 { 203.0.113.55 . 51820 : goto policy_2 }: "))
      << status.error().what;
  EXPECT_EQ(observed(), exampleState()) << "nothing of a refused transaction is left";
}

TEST_F(NftStates, DeletingWhatIsGoneIsNotThere) {
  converge(exampleState());
  NftTransaction transaction{.layout = exampleState().layout, .ops = {}};
  transaction.ops.push_back({false, NftListenPort{1}});
  const Status status = nft_->commit(transaction, numbers_);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::notThere);
  EXPECT_TRUE(status.error().what.starts_with("nft delete element inet wgsteer listen_port { 1 }: "))
      << status.error().what;
}

TEST_F(NftStates, DeletingATableThatIsGoneIsDone) {
  const Status status = nft_->commit({.deleteTable = true, .createTable = false, .layout = {}, .ops = {}}, numbers_);
  EXPECT_TRUE(status.has_value()) << status.error().toString();
}

TEST_F(NftStates, ADeviceNameThatIsTooLongIsRefused) {
  converge(exampleState());
  NftTransaction transaction{.layout = exampleState().layout, .ops = {}};
  transaction.ops.push_back({true, NftWan{"sixteen-letters!", Slot{3}}});
  const Status status = nft_->commit(transaction, numbers_);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::refused);
}

}  // namespace wgsteer::nft::test
