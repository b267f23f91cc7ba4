// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/source_routing.hpp"

#include <algorithm>
#include <utility>

#include "wgsteer/core/describe.hpp"

#include "core/foreign_rules.hpp"
#include "core/traffic.hpp"

namespace wgsteer {

std::vector<Prefix> disjoint(std::vector<Prefix> prefixes) {
  std::vector<Prefix> kept;
  // A prefix comes before all that it contains.
  std::ranges::sort(prefixes);
  for (const Prefix& prefix : prefixes)
    if (kept.empty() || !kept.back().overlaps(prefix)) kept.push_back(prefix);
  return kept;
}

bool delegates(const Wan& wan, const Address& address) {
  return std::ranges::any_of(wan.prefixes, [&](const Prefix& prefix) { return prefix.contains(address); });
}

std::vector<SourcePrefix> routedSources(const Steering& steering) {
  std::vector<SourcePrefix> found;
  for (std::size_t i = 0; i < steering.wans.size(); ++i) {
    const Wan& wan = steering.wans[i];
    if (!wan.sourceRouting || !wan.eligible(Family::v6)) continue;
    for (const Prefix& prefix : wan.prefixes)
      if (std::ranges::none_of(found, [&](const SourcePrefix& each) { return each.prefix.overlaps(prefix); }))
        found.push_back({prefix, i});
  }
  return found;
}

namespace {

/// A rule of another program that our rules would come before, or that leaves them nothing to decide: the kernel gives
/// rules without a priority those right before main (fib_default_rule_pref()), and they are about certain packets.
const Rule* obstacle(const World& world) {
  for (const Rule& rule : world.rules) {
    if (rule.family != Family::v6 || rule.priority == 0 || rule.action == RuleAction::nop) continue;
    if (looksUpMainForAll(rule)) return rule.priority < kSourceLocalPriority ? &rule : nullptr;
    if (rule.priority >= kSourceLocalPriority && !looksUpLocalForAll(rule)) return &rule;
  }
  return nullptr;
}

}  // namespace

void addSourceRouting(const Config& config, const World& world, const Steering& steering, std::set<Rule>& rules) {
  const auto sources = routedSources(steering);
  if (sources.empty() || obstacle(world) != nullptr) return;
  const bool localBehind = isLocalBehind(world.rules, Family::v6, kSourceLocalPriority);
  // Marks of others do not matter here: whoever gave them has rules of his own, which come before.
  const auto insert = [&](const Prefix& from, std::uint32_t priority, TableId table, std::int32_t suppressed) {
    Rule rule = stampedRule(Family::v6, priority);
    rule.mark = {.value = 0, .mask = config.numbers.markMask};
    rule.source = from;
    rule.table = table;
    rule.suppressPrefixLength = suppressed;
    stampBySelectors(rule);
    rules.insert(std::move(rule));
  };
  for (const SourcePrefix& each : sources) {
    if (localBehind) insert(each.prefix, kSourceLocalPriority, kLocalTable, -1);
    insert(each.prefix, kSourceInsidePriority, kMainTable, 1);
    for (const TableId table : config.insideTables) insert(each.prefix, kSourceInsidePriority + 1, table, 1);
    insert(each.prefix, kSourcePriority, config.numbers.wanTable(steering.wans[each.wan].slot), -1);
  }
}

void noteSourceRouting(const World& world, Steering& steering) {
  if (std::ranges::none_of(steering.wans, &Wan::sourceRouting)) return;
  const Rule* rule = obstacle(world);
  if (rule == nullptr) return;
  const std::string which = ipRule(*rule);
  const std::string why =
      looksUpMainForAll(*rule)
          ? " comes before its rules; move it to a priority above " + std::to_string(kSourcePriority)
          : " stands right before main; give it a priority below " + std::to_string(kSourceLocalPriority);
  for (const Wan& wan : steering.wans)
    if (wan.sourceRouting && !wan.prefixes.empty())
      steering.problems.push_back("WAN " + wan.name +
                                  ": source_routing has no effect on packets that no rule steers: " + which + why);
}

}  // namespace wgsteer
