// SPDX-License-Identifier: GPL-2.0-or-later
// What has to change, in an order in which no packet is misrouted in between (see plan.hpp).
#include <algorithm>
#include <compare>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/plan.hpp"

#include "core/nft_members.hpp"

namespace wgsteer {

namespace {

/// Walks two ordered ranges in parallel and reports what only one of them has. An event changes almost nothing, so
/// comparing each element once is nearly the whole cost of a plan.
template <class Range, class OnlyDesired, class OnlyObserved>
void compare(const Range& desired, const Range& observed, OnlyDesired onlyDesired, OnlyObserved onlyObserved) {
  auto wanted = desired.begin();
  auto present = observed.begin();
  while (wanted != desired.end() || present != observed.end()) {
    const auto order = wanted == desired.end()     ? std::strong_ordering::greater
                       : present == observed.end() ? std::strong_ordering::less
                                                   : *wanted <=> *present;
    if (order < 0) onlyDesired(*wanted);
    if (order > 0) onlyObserved(*present);
    if (order <= 0) ++wanted;
    if (order >= 0) ++present;
  }
}

/// Closing routes first: from then on a half-filled table cannot leak. Then on-link prefixes before defaults. Among
/// equals, the table with the higher number first: the tables of policies, which packets use, before those of single
/// WANs.
bool installsBefore(const Route* left, const Route* right) {
  const auto rank = [](const Route& route) {
    return std::tuple{route.type == RouteType::unicast, -static_cast<int>(route.destination.length()),
                      -static_cast<std::int64_t>(route.table.value)};
  };
  return rank(*left) < rank(*right);
}

/// The reverse, for removals: the closing route goes last.
bool leavesBefore(const Route* left, const Route* right) {
  const auto rank = [](const Route& route) {
    return std::tuple{route.type != RouteType::unicast, static_cast<int>(route.destination.length()),
                      -static_cast<std::int64_t>(route.table.value)};
  };
  return rank(*left) < rank(*right);
}

/// To the kernel, routes with equal keys are the same route (IPv4) or siblings (IPv6). A desired state has at most one
/// per key, but an observed one may have more, of which all but the desired one are stale.
void diffRoutes(const std::set<Route>& desired, const std::set<Route>& observed, Plan& additions, Plan& removals) {
  std::vector<const Route*> missing;
  std::vector<const Route*> surplus;
  compare(
      desired, observed, [&](const Route& route) { missing.push_back(&route); },
      [&](const Route& route) { surplus.push_back(&route); });
  // A replacement takes the place of one route; any others with the same key have to be removed.
  std::set<const Route*> replacements;
  std::erase_if(surplus, [&](const Route* route) {
    const auto successor = std::ranges::lower_bound(missing, route->key(), {}, [](const Route* r) { return r->key(); });
    return successor != missing.end() && (*successor)->key() == route->key() && replacements.insert(*successor).second;
  });
  std::ranges::stable_sort(missing, installsBefore);
  for (const Route* route : missing) additions.changes.emplace_back(AddRoute{*route, replacements.contains(route)});
  std::ranges::stable_sort(surplus, leavesBefore);
  for (const Route* route : surplus) removals.changes.emplace_back(DeleteRoute{*route});
}

/// Maps that share their content are equal and need not be walked.
template <class Field>
bool areKnownEqual(const Field& desired, const Field& observed) {
  if constexpr (requires { desired.same(observed); })
    return desired.same(observed);
  else
    return false;
}

/// An element of a map is the pair of key and value: a changed value is a deletion and an addition, because the kernel
/// (6.18) refuses to overwrite an element of a map.
std::vector<NftOp> nftOps(const NftTable& desired, const NftTable& observed) {
  std::vector<NftOp> elementsGone;
  std::vector<NftOp> chainsNew;
  std::vector<NftOp> elementsNew;
  std::vector<NftOp> chainsGone;
  forEachNftMember([&](auto kind) {
    using Member = typename decltype(kind)::type;
    using Traits = NftMemberTraits<Member>;
    const auto& wanted = Traits::field(desired);
    const auto& present = Traits::field(observed);
    if (areKnownEqual(wanted, present)) return;
    // A WAN comprises elements and a chain: deletions come before additions, because a slot may change hands.
    std::vector<NftOp>& gone = std::is_same_v<Member, NftPolicy> ? chainsGone : elementsGone;
    std::vector<NftOp>& added = kIsNftChain<Member> ? chainsNew : elementsNew;
    compare(
        wanted, present, [&](const auto& entry) { added.push_back({true, Traits::member(entry)}); },
        [&](const auto& entry) { gone.push_back({false, Traits::member(entry)}); });
  });

  std::vector<NftOp> ops;
  for (auto* part : {&elementsGone, &chainsNew, &elementsNew, &chainsGone})
    std::ranges::move(*part, std::back_inserter(ops));
  return ops;
}

enum class NftStep : std::uint8_t { beforeRoutes, main, last, afterRoutes };

/// The changes of the table, in steps between which the other changes are made.
struct NftSteps {
  /// New addresses of WANs and the sources to use: the table must have them before a route leads there, or the first
  /// packet leaves with a wrong source (seen when a carrier returned).
  std::optional<NftTransaction> beforeRoutes;
  std::optional<NftTransaction> main;
  /// Records of sysctls and of deprecated addresses: kept until these are really as they were.
  std::optional<NftTransaction> last;
  /// Sources of policies: they follow the routes. A failover must not wait for nft, which waits for other programs'
  /// transactions. Also lost addresses of WANs: as long as a route leads there, a packet gets the last known source,
  /// not another WAN's (seen when a WAN lost its last IPv6 address).
  std::optional<NftTransaction> afterRoutes;

  std::optional<NftTransaction>& at(NftStep step) {
    switch (step) {
      case NftStep::beforeRoutes:
        return beforeRoutes;
      case NftStep::main:
        return main;
      case NftStep::last:
        return last;
      case NftStep::afterRoutes:
        break;
    }
    return afterRoutes;
  }
};

/// Connections ask the rules again, or follow their policy, once the tables no longer lead to another exit than theirs;
/// they are held on their exit before tables lead to another one. What is changed is deleted and added in one step.
NftStep stepOf(const NftPinned& pinned, const NftTable& desired) {
  const auto wanted = desired.pinned.find({pinned.family, pinned.pin});
  return wanted == desired.pinned.end() || !wanted->second.exit ? NftStep::afterRoutes : NftStep::beforeRoutes;
}

NftStep stepOf(const NftOp& op, const NftTable& desired) {
  if (!op.add && std::holds_alternative<NftSysctl>(op.member)) return NftStep::last;
  if (const auto* ours = std::get_if<NftDeprecated>(&op.member))
    return op.add || desired.deprecated.contains(ours->address) ? NftStep::main : NftStep::last;
  if (std::holds_alternative<NftPolicySource>(op.member)) return NftStep::afterRoutes;
  if (const auto* pinned = std::get_if<NftPinned>(&op.member)) return stepOf(*pinned, desired);
  if (std::holds_alternative<NftReset>(op.member)) return NftStep::afterRoutes;
  // A failover does not wait for what comes in by the dead exit.
  if (!op.add && std::holds_alternative<NftArrival>(op.member)) return NftStep::afterRoutes;
  // As long as a tunnel may have such a mark, packets with it are kept out of tunnels.
  if (const auto* own = std::get_if<NftOwnMark>(&op.member); own != nullptr && !desired.ownMarks.contains(own->mark))
    return NftStep::afterRoutes;
  if (std::holds_alternative<NftAddress>(op.member) || std::holds_alternative<NftBound>(op.member))
    return op.add ? NftStep::beforeRoutes : NftStep::afterRoutes;
  if (const auto* source = std::get_if<NftSource>(&op.member)) {
    // A changed one is deleted and added in one step.
    const bool stays = desired.sources.contains({source->device, source->address.family()});
    return stays ? NftStep::beforeRoutes : NftStep::afterRoutes;
  }
  return NftStep::main;
}

/// In the table that is about to be replaced, where new routes would lead its connections away.
std::vector<NftOp> heldOnTheirExit(const NftTable& desired, const NftTable& observed) {
  std::vector<NftOp> ops;
  for (const auto& [key, way] : observed.pinned) {
    const auto wanted = desired.pinned.find(key);
    if (way.exit || wanted == desired.pinned.end() || !wanted->second.exit) continue;
    ops.push_back({false, NftPinned{key.first, key.second, way}});
    ops.push_back({true, NftPinned{key.first, key.second, wanted->second}});
  }
  return ops;
}

NftSteps diffNft(const std::optional<NftState>& desired, const std::optional<NftState>& observed) {
  NftSteps steps;
  if (!desired) {
    if (observed) steps.last = NftTransaction{.deleteTable = true, .createTable = false, .layout = {}, .ops = {}};
    return steps;
  }
  if (!observed || observed->layout != desired->layout) {
    NftTable first = desired->table;
    // Tunnels may still have marks of the old table until they are given their new ones.
    if (observed) first.ownMarks.insert(observed->table.ownMarks.begin(), observed->table.ownMarks.end());
    // Nor are addresses preferred again yet.
    if (observed) first.deprecated.insert(observed->table.deprecated.begin(), observed->table.deprecated.end());
    steps.main = NftTransaction{
        .deleteTable = observed.has_value(), .createTable = true, .layout = desired->layout, .ops = nftOps(first, {})};
    auto held = observed ? heldOnTheirExit(desired->table, observed->table) : std::vector<NftOp>{};
    if (!held.empty()) steps.beforeRoutes = NftTransaction{.layout = observed->layout, .ops = std::move(held)};
    auto rest = nftOps(desired->table, first);
    if (!rest.empty()) steps.afterRoutes = NftTransaction{.layout = desired->layout, .ops = std::move(rest)};
    return steps;
  }
  for (NftOp& op : nftOps(desired->table, observed->table)) {
    auto& step = steps.at(stepOf(op, desired->table));
    if (!step) step = NftTransaction{.layout = desired->layout, .ops = {}};
    step->ops.push_back(std::move(op));
  }
  return steps;
}

void diffTunnelMarks(const std::map<IfName, Mark>& desired, const std::map<IfName, Mark>& observed, Plan& plan) {
  for (const auto& [tunnel, mark] : desired) {
    const auto present = observed.find(tunnel);
    const auto was = present == observed.end() ? std::nullopt : std::optional{present->second};
    if (was != mark) plan.changes.emplace_back(SetTunnelMark{tunnel, mark, was});
  }
  for (const auto& [tunnel, mark] : observed)
    if (!desired.contains(tunnel)) plan.changes.emplace_back(SetTunnelMark{tunnel, Mark{0}, mark});
}

/// Rules that repeat foreign rules may exist only while all other packets jump past them, which requires the rules at
/// which these continue. Those that look up table local name a mark, and come before the ones that lead away.
void diffRules(const std::set<Rule>& desired, const std::set<Rule>& observed, Plan& plan, Plan& removals) {
  const auto isStamped = [](const Rule& rule) { return isStamp(rule.suppressGroup) && rule.table != kLocalTable; };
  std::vector<Rule> added;
  std::vector<Rule> removed;
  compare(
      desired, observed, [&](const Rule& rule) { added.push_back(rule); },
      [&](const Rule& rule) { removed.push_back(rule); });
  std::stable_partition(added.begin(), added.end(), [&](const Rule& rule) { return !isStamped(rule); });
  std::stable_partition(removed.begin(), removed.end(), isStamped);
  for (Rule& rule : added) plan.changes.emplace_back(AddRule{std::move(rule)});
  for (Rule& rule : removed) removals.changes.emplace_back(DeleteRule{std::move(rule)});
}

/// By the address alone: until when it was preferred is only repeated here.
void diffDeprecated(const std::map<OwnAddress, Preferred>& desired, const std::map<OwnAddress, Preferred>& observed,
                    Plan& plan) {
  for (const auto& [own, preferred] : desired)
    if (!observed.contains(own)) plan.changes.emplace_back(SetDeprecated{own, preferred});
  for (const auto& [own, preferred] : observed)
    if (!desired.contains(own)) plan.changes.emplace_back(SetDeprecated{own, preferred, false});
}

void append(Plan& plan, Plan&& more) { std::ranges::move(more.changes, std::back_inserter(plan.changes)); }

}  // namespace

Plan diff(const State& desired, const State& observed) {
  Plan plan;
  Plan removals;
  NftSteps nft = diffNft(desired.nft, observed.nft);
  if (nft.beforeRoutes) plan.changes.emplace_back(std::move(*nft.beforeRoutes));
  Plan removedRoutes;
  diffRoutes(desired.routes, observed.routes, plan, removedRoutes);
  diffRules(desired.rules, observed.rules, plan, removals);
  if (nft.main) plan.changes.emplace_back(std::move(*nft.main));
  diffTunnelMarks(desired.tunnelMarks, observed.tunnelMarks, plan);
  compare(
      desired.sysctls, observed.sysctls, [&](const Sysctl& sysctl) { plan.changes.emplace_back(SetSysctl{sysctl}); },
      [&](const Sysctl& sysctl) { plan.changes.emplace_back(SetSysctl{sysctl, false}); });
  diffDeprecated(desired.deprecated, observed.deprecated, plan);
  if (nft.last) plan.changes.emplace_back(std::move(*nft.last));
  append(plan, std::move(removals));
  append(plan, std::move(removedRoutes));
  if (nft.afterRoutes) plan.changes.emplace_back(std::move(*nft.afterRoutes));
  return plan;
}

}  // namespace wgsteer
