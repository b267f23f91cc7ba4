// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/traffic_foreign.hpp"

#include <algorithm>
#include <map>
#include <span>
#include <tuple>

#include "core/foreign_rules.hpp"
#include "core/host_routes.hpp"
#include "core/traffic.hpp"

namespace wgsteer {

namespace {

bool hasSelector(const Rule& rule) {
  return rule.source || rule.destination || rule.mark.mask != 0 || rule.sourcePort || rule.destinationPort ||
         rule.ipProtocol != 0 || !rule.inputInterface.empty() || !rule.outputInterface.empty();
}

/// For packets that both match. False: there are none, or two values would be needed.
template <class T>
bool join(std::optional<T>& value, const std::optional<T>& other) {
  if (!value) value = other;
  return !other || value == other;
}
bool join(std::optional<Prefix>& value, const std::optional<Prefix>& other) {
  if (!value || !other) return join<Prefix>(value, other);
  if (!value->overlaps(*other)) return false;
  if (other->length() > value->length()) value = other;
  return true;
}
bool join(IfName& value, const IfName& other) {
  if (value.empty()) value = other;
  return other.empty() || value == other;
}
bool join(std::uint8_t& value, std::uint8_t other) {
  if (value == 0) value = other;
  return other == 0 || value == other;
}
bool join(MarkMatch& value, const MarkMatch& other) {
  if (((value.value ^ other.value) & value.mask & other.mask) != 0) return false;
  value = {.value = value.value | other.value, .mask = value.mask | other.mask};
  return true;
}

bool joinSelectors(Rule& rule, const Rule& other) {
  return join(rule.source, other.source) && join(rule.destination, other.destination) && join(rule.mark, other.mark) &&
         join(rule.inputInterface, other.inputInterface) && join(rule.outputInterface, other.outputInterface) &&
         join(rule.ipProtocol, other.ipProtocol) && join(rule.sourcePort, other.sourcePort) &&
         join(rule.destinationPort, other.destinationPort);
}

bool mayMatchTheSame(const Rule& left, const Rule& right) {
  if (left.family != right.family) return false;
  Rule both = left;
  return joinSelectors(both, right);
}

bool isGoto(const Rule& rule) { return rule.action == RuleAction::goto_; }

/// What our rules would do anyway matters only if another copy would take its packets instead.
bool isPreliminary(const Rule& rule) { return isGoto(rule) || looksUpMain(rule); }

void dropNeedless(std::vector<Rule>& copies) {
  std::vector<Rule> kept;
  for (std::size_t i = copies.size(); i-- > 0;) {
    const bool needed = !isPreliminary(copies[i]) || std::ranges::any_of(kept, [&](const Rule& later) {
      return !isPreliminary(later) && mayMatchTheSame(copies[i], later);
    });
    if (needed) kept.push_back(std::move(copies[i]));
  }
  std::ranges::reverse(kept);
  copies = std::move(kept);
}

class Finder {
 public:
  Finder(const World& world, const Numbers& numbers, const std::vector<Wan>& wans)
      : world_(world), numbers_(numbers), wans_(wans) {}

  ForeignCopies find() {
    for (const Family family : kFamilies) {
      rules_.clear();
      for (const Rule& rule : world_.rules)
        if (rule.family == family) rules_.push_back(&rule);
      follow(rules_, nullptr);
    }
    dropNeedless(found_.rules);
    if (found_.rules.size() > kMaxHonouredRules) {
      found_.leftOut = found_.rules[kMaxHonouredRules];
      found_.rules.resize(kMaxHonouredRules);
    }
    return std::move(found_);
  }

 private:
  using Rules = std::span<const Rule* const>;

  /// `by`: a goto that leads to the first of them.
  void follow(Rules rules, const Rule* by) {
    for (const Rule* rule : rules) {
      if (looksUpMainForAll(*rule)) return;
      if (!isGoto(*rule)) {
        take(*rule, by);
        continue;
      }
      const Rules target = from(rule->gotoPriority);
      if (target.empty() || rule->gotoPriority <= rule->priority) continue;
      if (!hasSelector(*rule) && !rule->invert && !rule->otherSelector) return follow(target, by);
      // Of gotos within gotos, those that stand behind are read with the rest of the list.
      if (by == nullptr && isRepeatable(*rule)) follow(target, rule);
    }
  }

  Rules from(std::uint32_t priority) const {
    const auto first = std::ranges::lower_bound(rules_, priority, {}, [](const Rule* rule) { return rule->priority; });
    return Rules{rules_}.subspan(static_cast<std::size_t>(first - rules_.begin()));
  }

  void take(const Rule& rule, const Rule* by) {
    if (rule.priority < numbers_.rulePriority || rule.l3mdev) return;
    if (rule.invert || rule.otherSelector) {
      if (by == nullptr && decides(rule)) found_.unrepeated.push_back(rule);
      return;
    }
    if (!isRepeatable(rule)) return;
    Rule copy = rule;
    if (by != nullptr) {
      if (!joinSelectors(copy, *by)) return;
      copy.priority = by->priority;
    }
    // A mark of ours is in no packet that they are meant for.
    const bool named = copy.mark.mask != 0;
    copy.mark.mask &= ~numbers_.markMask;
    if (!named || copy.mark.mask != 0) repeat(std::move(copy));
  }

  /// Packets whose whole mark is named are not marked by us (NftTable::namedMarks).
  bool isRepeatable(const Rule& rule) const {
    return !rule.invert && !rule.otherSelector && (rule.mark.value & numbers_.markMask) == 0 &&
           rule.mark.mask != 0xffffffff;
  }

  bool decides(const Rule& rule) {
    if (refuses(rule)) return true;
    if (rule.action != RuleAction::lookup || rule.table == kLocalTable || looksUpMain(rule)) return false;
    Rule certain = rule;
    certain.ipProtocol = 1;  // whatever it is that we do not know, it is a selector
    return leadsTo(certain).ours;
  }

  void repeat(Rule copy) {
    if (refuses(copy)) {
      found_.rules.push_back(std::move(copy));
    } else if (looksUpMain(copy)) {
      if (copy.suppressPrefixLength < 0) return passOn(std::move(copy));
      copy.suppressPrefixLength = std::max(copy.suppressPrefixLength, 1);
      found_.rules.push_back(std::move(copy));
    } else if (copy.action == RuleAction::lookup && copy.table != kLocalTable) {
      const Leads leads = leadsTo(copy);
      if (leads.ours) {
        found_.rules.push_back(copy);
        if (leads.onlySome) found_.rules.back().suppressPrefixLength = std::max(copy.suppressPrefixLength, 1);
      }
      if (leads.toWan) passOn(std::move(copy));
    }
  }

  void passOn(Rule copy) {
    copy.action = RuleAction::goto_;
    copy.suppressPrefixLength = -1;
    found_.rules.push_back(std::move(copy));
  }

  struct Leads {
    bool ours = false;      ///< somewhere that rules for any traffic do not decide about
    bool onlySome = false;  ///< not its default route
    bool toWan = false;     ///< its default route, which ends the walk for its packets
  };

  /// A table may be looked up by hundreds of rules, one per address.
  Leads leadsTo(const Rule& rule) {
    const auto [known, fresh] =
        leads_.try_emplace({rule.table, rule.family, rule.suppressPrefixLength, hasSelector(rule)});
    if (fresh) known->second = look(rule);
    return known->second;
  }

  /// A default route counts if it is for certain packets.
  Leads look(const Rule& rule) const {
    Leads leads;
    const Route* best = nullptr;
    for (const Route& route : routesFrom(world_.routes, rule.table, Prefix::any(rule.family))) {
      if (route.table != rule.table) break;
      const auto length = static_cast<std::int32_t>(route.destination.length());
      if (route.family() != rule.family || length <= rule.suppressPrefixLength) continue;
      if (length > 1)
        leads.ours |= saysMoreThanMain(route);
      else if (best == nullptr || takesPrecedence(route, *best))
        best = &route;
    }
    leads.onlySome = true;
    if (best == nullptr || best->type == RouteType::throw_) return leads;
    const bool elsewhere = hasSelector(rule) && leadsElsewhere(*best);
    if (elsewhere) return {.ours = true, .onlySome = false, .toWan = false};
    leads.toWan = true;
    return leads;
  }

  /// About WANs the rules for any traffic decide. A table that refuses is a kill switch.
  bool leadsElsewhere(const Route& route) const {
    if (route.type != RouteType::unicast) return route.type == RouteType::local || refuses(route);
    return route.hops.empty() || !allHops(world_, route, [&](const Link& link) {
             return std::ranges::any_of(wans_, [&](const Wan& wan) { return wan.link == &link; });
           });
  }

  /// Tables for a WAN repeat main's specific routes.
  bool saysMoreThanMain(const Route& route) const {
    const Address& destination = route.destination.address();
    return !destination.isLinkLocal() && !destination.isMulticast() && !isInMainAsWell(world_.routes, route);
  }

  const World& world_;
  const Numbers& numbers_;
  const std::vector<Wan>& wans_;
  std::vector<const Rule*> rules_;  ///< of one family, in their order
  ForeignCopies found_;
  std::map<std::tuple<TableId, Family, std::int32_t, bool>, Leads> leads_;
};

/// Whether it does not matter which of them comes first.
bool doTheSame(const Rule& left, const Rule& right) {
  return left.action == right.action && left.table == right.table &&
         left.suppressPrefixLength == right.suppressPrefixLength;
}

}  // namespace

ForeignCopies foreignRulesForTraffic(const World& world, const Numbers& numbers, const std::vector<Wan>& wans) {
  return Finder{world, numbers, wans}.find();
}

std::vector<Rule> placed(const std::vector<Rule>& copies, const ForeignPlace& place) {
  std::vector<Rule> rules;
  std::uint32_t priority = place.first;
  const Rule* previous = nullptr;
  for (const Rule& copy : copies) {
    if (previous != nullptr && !doTheSame(*previous, copy) && priority + 1 < place.first + place.steps) ++priority;
    previous = &copy;
    Rule& rule = rules.emplace_back(copy);
    rule.priority = priority;
    if (isGoto(rule)) {
      rule.table = {};
      rule.gotoPriority = place.end;
    }
    stampBySelectors(rule);
  }
  return rules;
}

}  // namespace wgsteer
