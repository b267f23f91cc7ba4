// SPDX-License-Identifier: GPL-2.0-or-later
// What has to change, in an order in which nothing goes the wrong way in between (see plan.hpp).
#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>

#include "wgsteer/core/plan.hpp"

namespace wgsteer {

namespace {

using RouteKey = std::tuple<TableId, Prefix, Prefix, std::uint32_t>;

/// Closing routes first: from then on a table that is half full cannot leak. Then on-link prefixes before defaults.
bool installsBefore(const Route& left, const Route& right) {
  const auto rank = [](const Route& route) {
    return std::tuple{route.type == RouteType::unicast, -static_cast<int>(route.destination.length())};
  };
  return rank(left) < rank(right);
}

/// Routes of equal key are one to the kernel (IPv4) or siblings (IPv6); a state of ours has one per key at the most,
/// but an observed one may have more, of which all but the desired are stale.
void diffRoutes(const std::set<Route>& desired, const std::set<Route>& observed, Plan& additions, Plan& removals) {
  std::map<RouteKey, const Route*> wanted;
  for (const Route& route : desired) wanted.emplace(route.key(), &route);

  std::set<RouteKey> replaceable;
  std::vector<const Route*> stale;
  for (const Route& route : observed) {
    if (desired.contains(route)) continue;
    const auto successor = wanted.find(route.key());
    // A replacement takes the place of one route; what else has the same key is to be removed.
    const bool replaced =
        successor != wanted.end() && !observed.contains(*successor->second) && replaceable.insert(route.key()).second;
    if (!replaced) stale.push_back(&route);
  }

  std::vector<Route> missing;
  std::ranges::set_difference(desired, observed, std::back_inserter(missing));
  std::ranges::stable_sort(missing, installsBefore);
  for (Route& route : missing) {
    const bool replace = replaceable.contains(route.key());
    additions.changes.emplace_back(AddRoute{std::move(route), replace});
  }
  // In the reverse order: the closing route goes last.
  std::ranges::stable_sort(stale, [](const Route* left, const Route* right) { return installsBefore(*right, *left); });
  for (const Route* route : stale) removals.changes.emplace_back(DeleteRoute{*route});
}

template <class Element, class Make>
void diffSets(const std::set<Element>& desired, const std::set<Element>& observed, std::vector<NftOp>& removed,
              std::vector<NftOp>& added, Make make) {
  for (const Element& element : observed)
    if (!desired.contains(element)) removed.push_back({false, make(element)});
  for (const Element& element : desired)
    if (!observed.contains(element)) added.push_back({true, make(element)});
}

/// A changed value is a deletion and an addition: the kernel (6.18) refuses to overwrite a map's element.
template <class Key, class Value, class Make>
void diffMaps(const std::map<Key, Value>& desired, const std::map<Key, Value>& observed, std::vector<NftOp>& removed,
              std::vector<NftOp>& added, Make make) {
  for (const auto& [key, value] : observed) {
    const auto kept = desired.find(key);
    if (kept == desired.end() || kept->second != value) removed.push_back({false, make(key, value)});
  }
  for (const auto& [key, value] : desired) {
    const auto present = observed.find(key);
    if (present == observed.end() || present->second != value) added.push_back({true, make(key, value)});
  }
}

std::vector<NftOp> nftOps(const NftTable& desired, const NftTable& observed) {
  std::vector<NftOp> elementsGone;
  std::vector<NftOp> chainsNew;
  std::vector<NftOp> elementsNew;
  std::vector<NftOp> chainsGone;
  diffSets(desired.policies, observed.policies, chainsGone, chainsNew, [](Slot slot) { return NftPolicy{slot}; });
  // A WAN is elements and a chain in one: those that go, go before those that come, for a slot may change hands.
  diffMaps(desired.wans, observed.wans, elementsGone, chainsNew,
           [](const IfName& device, Slot slot) { return NftWan{device, slot}; });
  diffSets(desired.addresses, observed.addresses, elementsGone, elementsNew,
           [](const auto& pair) { return NftAddress{pair.first, pair.second}; });
  diffMaps(desired.sources, observed.sources, elementsGone, elementsNew,
           [](const auto& key, const Address& address) { return NftSource{key.first, address}; });
  diffMaps(desired.policySources, observed.policySources, elementsGone, elementsNew,
           [](const auto& key, const Address& address) { return NftPolicySource{key.first, address}; });
  diffMaps(desired.endpoints, observed.endpoints, elementsGone, elementsNew,
           [](const Endpoint& endpoint, std::optional<Slot> policy) { return NftEndpoint{endpoint, policy}; });
  diffSets(desired.listenPorts, observed.listenPorts, elementsGone, elementsNew,
           [](std::uint16_t port) { return NftListenPort{port}; });
  diffSets(desired.foreignMarks, observed.foreignMarks, elementsGone, elementsNew,
           [](Mark mark) { return NftForeignMark{mark}; });
  diffSets(desired.changedSysctls, observed.changedSysctls, elementsGone, elementsNew,
           [](const Sysctl& sysctl) { return NftSysctl{sysctl}; });

  std::vector<NftOp> ops;
  for (auto* part : {&elementsGone, &chainsNew, &elementsNew, &chainsGone})
    std::ranges::move(*part, std::back_inserter(ops));
  return ops;
}

enum class NftStep : std::uint8_t { beforeRoutes, main, last, afterRoutes };

/// The table's changes, in the steps that the others have to come between.
struct NftSteps {
  /// Addresses of WANs and the sources to use: known before a route leads there, or its first packet leaves with a
  /// foreign source (seen at the return of a carrier).
  std::optional<NftTransaction> beforeRoutes;
  std::optional<NftTransaction> main;
  /// Memory of sysctls: kept until they are really off.
  std::optional<NftTransaction> last;
  /// Sources of policies: they follow the routes. A failover must not wait for nft, which waits for others' rulesets.
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

NftStep stepOf(const NftOp& op) {
  if (!op.add && std::holds_alternative<NftSysctl>(op.member)) return NftStep::last;
  if (std::holds_alternative<NftPolicySource>(op.member)) return NftStep::afterRoutes;
  const bool address = std::holds_alternative<NftAddress>(op.member) || std::holds_alternative<NftSource>(op.member);
  return address ? NftStep::beforeRoutes : NftStep::main;
}

NftSteps diffNft(const std::optional<NftState>& desired, const std::optional<NftState>& observed) {
  NftSteps steps;
  if (!desired) {
    if (observed) steps.last = NftTransaction{.deleteTable = true, .createTable = false, .layout = {}, .ops = {}};
    return steps;
  }
  if (!observed || observed->layout != desired->layout) {
    steps.main = NftTransaction{.deleteTable = observed.has_value(),
                                .createTable = true,
                                .layout = desired->layout,
                                .ops = nftOps(desired->table, {})};
    return steps;
  }
  for (NftOp& op : nftOps(desired->table, observed->table)) {
    auto& step = steps.at(stepOf(op));
    if (!step) step = NftTransaction{.layout = desired->layout, .ops = {}};
    step->ops.push_back(std::move(op));
  }
  return steps;
}

void diffTunnelMarks(const std::map<IfName, Mark>& desired, const std::map<IfName, Mark>& observed, Plan& plan) {
  for (const auto& [tunnel, mark] : desired) {
    const auto present = observed.find(tunnel);
    if (present == observed.end() || present->second != mark) plan.changes.emplace_back(SetTunnelMark{tunnel, mark});
  }
  for (const auto& [tunnel, mark] : observed)
    if (!desired.contains(tunnel)) plan.changes.emplace_back(SetTunnelMark{tunnel, Mark{0}});
}

void append(Plan& plan, Plan&& more) { std::ranges::move(more.changes, std::back_inserter(plan.changes)); }

}  // namespace

Plan diff(const State& desired, const State& observed) {
  Plan plan;
  Plan removedRoutes;
  NftSteps nft = diffNft(desired.nft, observed.nft);
  if (nft.beforeRoutes) plan.changes.emplace_back(std::move(*nft.beforeRoutes));
  diffRoutes(desired.routes, observed.routes, plan, removedRoutes);
  for (const Rule& rule : desired.rules)
    if (!observed.rules.contains(rule)) plan.changes.emplace_back(AddRule{rule});
  if (nft.main) plan.changes.emplace_back(std::move(*nft.main));
  diffTunnelMarks(desired.tunnelMarks, observed.tunnelMarks, plan);
  for (const Sysctl& sysctl : desired.sysctls)
    if (!observed.sysctls.contains(sysctl)) plan.changes.emplace_back(SetSysctl{sysctl, true});
  for (const Sysctl& sysctl : observed.sysctls)
    if (!desired.sysctls.contains(sysctl)) plan.changes.emplace_back(SetSysctl{sysctl, false});
  if (nft.last) plan.changes.emplace_back(std::move(*nft.last));
  for (const Rule& rule : observed.rules)
    if (!desired.rules.contains(rule)) plan.changes.emplace_back(DeleteRule{rule});
  append(plan, std::move(removedRoutes));
  if (nft.afterRoutes) plan.changes.emplace_back(std::move(*nft.afterRoutes));
  return plan;
}

}  // namespace wgsteer
