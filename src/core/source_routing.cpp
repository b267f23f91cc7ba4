// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/source_routing.hpp"

#include <algorithm>
#include <utility>

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

void addSourceRouting(const Config& config, const Steering& steering, std::set<Rule>& rules) {
  // Marks of others do not matter here: whoever gave them has rules of his own, which come before.
  const auto insert = [&](Rule rule) {
    rule.mark = {.value = 0, .mask = config.numbers.markMask};
    stampBySelectors(rule);
    rules.insert(std::move(rule));
  };
  for (const SourcePrefix& each : routedSources(steering)) {
    Rule inside = stampedRule(Family::v6, kSourceInsidePriority);
    inside.source = each.prefix;
    inside.suppressPrefixLength = 1;
    inside.table = kMainTable;
    insert(inside);
    ++inside.priority;
    for (const TableId table : config.insideTables) {
      inside.table = table;
      insert(inside);
    }
    Rule out = stampedRule(Family::v6, kSourcePriority);
    out.source = each.prefix;
    out.table = config.numbers.wanTable(steering.wans[each.wan].slot);
    insert(std::move(out));
  }
}

}  // namespace wgsteer
