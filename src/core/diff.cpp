// SPDX-License-Identifier: GPL-2.0-or-later
// What has to change, in an order in which nothing goes the wrong way in between (see plan.hpp).
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

/// Walks two ordered ranges at once and tells what only one of them has. An event changes next to nothing of what is
/// there, so to compare each element once is nearly all that a plan costs.
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

/// Closing routes first: from then on a table that is half full cannot leak. Then on-link prefixes before defaults. Of
/// equals, the table with the highest number: those of policies, by which packets go, before those of single WANs.
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

/// Routes of equal key are one to the kernel (IPv4) or siblings (IPv6); a state of ours has one per key at the most,
/// but an observed one may have more, of which all but the desired are stale.
void diffRoutes(const std::set<Route>& desired, const std::set<Route>& observed, Plan& additions, Plan& removals) {
  std::vector<const Route*> missing;
  std::vector<const Route*> surplus;
  compare(
      desired, observed, [&](const Route& route) { missing.push_back(&route); },
      [&](const Route& route) { surplus.push_back(&route); });
  // A replacement takes the place of one route; what else has the same key is to be removed.
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

/// Maps that share their content are equal, and are not walked through.
template <class Field>
bool areKnownEqual(const Field& desired, const Field& observed) {
  if constexpr (requires { desired.same(observed); })
    return desired.same(observed);
  else
    return false;
}

/// Of a map, an element is the pair of key and value: a changed value is a deletion and an addition, for the kernel
/// (6.18) refuses to overwrite a map's element.
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
    // A WAN is elements and a chain in one: those that go, go before those that come, for a slot may change hands.
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

/// The table's changes, in the steps that the others have to come between.
struct NftSteps {
  /// New addresses of WANs and the sources to use: known before a route leads there, or its first packet leaves with a
  /// foreign source (seen at the return of a carrier).
  std::optional<NftTransaction> beforeRoutes;
  std::optional<NftTransaction> main;
  /// Memory of sysctls: kept until they are really off.
  std::optional<NftTransaction> last;
  /// Sources of policies: they follow the routes. A failover must not wait for nft, which waits for others' rulesets.
  /// And what a WAN has no longer: as long as a route leads there, a packet gets the last known source, not another
  /// WAN's (seen at the loss of a WAN's last IPv6 address).
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

NftStep stepOf(const NftOp& op, const NftTable& desired) {
  if (!op.add && std::holds_alternative<NftSysctl>(op.member)) return NftStep::last;
  if (std::holds_alternative<NftPolicySource>(op.member)) return NftStep::afterRoutes;
  // As long as a tunnel may have such a mark, what carries it is kept out of tunnels.
  if (const auto* own = std::get_if<NftOwnMark>(&op.member); own != nullptr && !desired.ownMarks.contains(own->mark))
    return NftStep::afterRoutes;
  if (std::holds_alternative<NftAddress>(op.member) || std::holds_alternative<NftBound>(op.member))
    return op.add ? NftStep::beforeRoutes : NftStep::afterRoutes;
  if (const auto* source = std::get_if<NftSource>(&op.member)) {
    // A changed one is deleted and added, which is one step.
    const bool stays = desired.sources.contains({source->device, source->address.family()});
    return stays ? NftStep::beforeRoutes : NftStep::afterRoutes;
  }
  return NftStep::main;
}

NftSteps diffNft(const std::optional<NftState>& desired, const std::optional<NftState>& observed) {
  NftSteps steps;
  if (!desired) {
    if (observed) steps.last = NftTransaction{.deleteTable = true, .createTable = false, .layout = {}, .ops = {}};
    return steps;
  }
  if (!observed || observed->layout != desired->layout) {
    NftTable first = desired->table;
    // Tunnels may still have marks of the old table, until they are given theirs.
    if (observed) first.ownMarks.insert(observed->table.ownMarks.begin(), observed->table.ownMarks.end());
    steps.main = NftTransaction{
        .deleteTable = observed.has_value(), .createTable = true, .layout = desired->layout, .ops = nftOps(first, {})};
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

/// Rules that say again what somebody else's say are there only while others' packets are led past them, which takes
/// the rules that these go on at.
void diffRules(const std::set<Rule>& desired, const std::set<Rule>& observed, Plan& plan, Plan& removals) {
  const auto isWay = [](const Rule& rule) { return rule.suppressGroup == kWayGroup; };
  std::vector<Rule> added;
  std::vector<Rule> removed;
  compare(
      desired, observed, [&](const Rule& rule) { added.push_back(rule); },
      [&](const Rule& rule) { removed.push_back(rule); });
  std::stable_partition(added.begin(), added.end(), [&](const Rule& rule) { return !isWay(rule); });
  std::stable_partition(removed.begin(), removed.end(), isWay);
  for (Rule& rule : added) plan.changes.emplace_back(AddRule{std::move(rule)});
  for (Rule& rule : removed) removals.changes.emplace_back(DeleteRule{std::move(rule)});
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
  if (nft.last) plan.changes.emplace_back(std::move(*nft.last));
  append(plan, std::move(removals));
  append(plan, std::move(removedRoutes));
  if (nft.afterRoutes) plan.changes.emplace_back(std::move(*nft.afterRoutes));
  return plan;
}

}  // namespace wgsteer
