// SPDX-License-Identifier: GPL-2.0-or-later
// This host's own connections by ip rules: they choose the exit before the kernel chooses the source address, in both
// families, without translation. With `iif lo` they cost forwarded packets nothing (fib_rule_requires_fldissect() of
// include/net/fib_rules.h, 5.15 to 6.18).
#include <algorithm>
#include <utility>

#include "core/foreign_rules.hpp"
#include "core/source_routing.hpp"
#include "core/traffic.hpp"
#include "core/traffic_foreign.hpp"
#include "core/wan_sources.hpp"

namespace wgsteer {

namespace {

/// An ip rule has one prefix, protocol and range of ports each: a rule becomes as many as it has combinations.
constexpr std::size_t kCombinationsAtMost = 16;

bool isOnlyForwarded(const RuleConfig& rule) {
  return rule.origin == Origin::forwarded || !rule.inputDevice.any.empty() || !rule.sourceMac.any.empty();
}

std::size_t countOf(std::size_t values) { return std::max<std::size_t>(values, 1); }

/// "Invalid dport range" (fib_nl2rule(), 6.18): the last port is not allowed as an end.
bool reachesTheLastPort(const Selector<PortRange>& ports) {
  return std::ranges::any_of(ports.any, [](const PortRange& range) { return range.last == 65535; });
}

bool isExpressible(const RuleConfig& rule) {
  const bool plain = rule.dscp.empty() && rule.protocol.none.empty() && rule.sourcePort.none.empty() &&
                     rule.destinationPort.none.empty() && rule.inputDevice.none.empty() &&
                     rule.sourceMac.none.empty() && !rule.sticky && !reachesTheLastPort(rule.sourcePort) &&
                     !reachesTheLastPort(rule.destinationPort);
  return plain && rule.source.none.size() + rule.destination.none.size() <= kCombinationsAtMost &&
         countOf(rule.source.any.size()) * countOf(rule.destination.any.size()) * countOf(rule.protocol.any.size()) *
                 countOf(rule.sourcePort.any.size()) * countOf(rule.destinationPort.any.size()) <=
             kCombinationsAtMost;
}

/// Whether a rule's exits are chosen in the chains, which a table alone cannot do.
bool shares(const Config& config, const RuleConfig& rule) {
  const auto policy = std::ranges::find(config.policies, rule.policy, &PolicyConfig::name);
  if (rule.use != RuleUse::policy || policy == config.policies.end() || policy->balance == Balance::pair) return false;
  const auto isBest = [&](const PolicyMember& member) {
    return member.metric == std::ranges::min(policy->members, {}, &PolicyMember::metric).metric;
  };
  return std::ranges::count_if(policy->members, isBest) > 1;
}

/// The values of a family, or one that stands for all; nothing if there are only values of the other family.
std::vector<std::optional<Prefix>> prefixes(const Selector<Prefix>& selector, Family family) {
  if (selector.any.empty()) return {std::nullopt};
  std::vector<std::optional<Prefix>> found;
  for (const Prefix& prefix : selector.any)
    if (prefix.family() == family) found.emplace_back(prefix);
  return found;
}

template <class T>
std::vector<std::optional<T>> orNone(const std::vector<T>& values) {
  std::vector<std::optional<T>> all{values.begin(), values.end()};
  if (all.empty()) all.emplace_back();
  return all;
}

class LocalRules {
 public:
  LocalRules(const TrafficState& of, Family family, std::set<Rule>& rules)
      : of_(of), family_(family), base_(localBase(of, family)), rules_(rules) {}

  void add() {
    passBy();
    foreign();
    for (const Wan& wan : of_.steering.wans) bySource(wan);
    byOtherSources();
    std::uint32_t priority = base_ + kLocalRulesOffset;
    for (const TrafficRule& view : of_.steering.traffic->rules) {
      if (isOnlyForwarded(*view.rule)) continue;
      if (!view.rule->family || *view.rule->family == family_) addRule(view, priority);
      priority += kLocalRuleSize;
    }
    insert(stampedRule(family_, end(), RuleAction::nop));
  }

 private:
  std::uint32_t end() const { return base_ + kLocalEndOffset; }

  /// Only what this host sends without any mark: WireGuard's packets, those of others and those that a chain has marked
  /// are routed by their marks.
  Rule own(std::uint32_t priority, RuleAction action = RuleAction::lookup) const {
    Rule rule = stampedRule(family_, priority, action);
    rule.inputInterface = "lo";
    rule.mark = {.value = 0, .mask = 0xffffffff};
    return rule;
  }

  Rule jump(Rule rule, std::uint32_t target) const {
    rule.action = RuleAction::goto_;
    rule.gotoPriority = target;
    return rule;
  }

  Rule past() const { return jump(own(base_ + kLocalTrafficOffset), end()); }

  /// Sockets that are bound to an uplink, WireGuard's own packets without a mark, whose source port is a tunnel's, and
  /// what talks to a network rather than to an address in it.
  void passBy() {
    for (const IfName& device : uplinks(of_.world, of_.steering, family_)) {
      Rule rule = past();
      rule.outputInterface = device;
      insert(std::move(rule));
    }
    for (const auto& [name, tunnel] : of_.world.tunnels)
      if (tunnel.listenPort != 0) passPorts(tunnel.listenPort, std::nullopt);
    for (const std::string_view network : networks()) {
      Rule rule = past();
      rule.destination = Prefix::parse(network);
      insert(std::move(rule));
    }
    for (const Prefix& network : of_.steering.traffic->thrown) {
      if (network.family() != family_) continue;
      Rule rule = past();
      rule.destination = network;
      insert(std::move(rule));
    }
    // A lease is renewed by unicast, and whoever refuses that loses the WAN.
    if (family_ == Family::v4)
      passPorts(kDhcpPorts.last, kDhcpPorts.first);
    else
      passPorts(kDhcp6Ports.first, kDhcp6Ports.last);
  }

  void passPorts(std::uint16_t source, std::optional<std::uint16_t> destination) {
    Rule rule = past();
    rule.ipProtocol = kUdp;
    rule.sourcePort = PortRange{source, source};
    if (destination) rule.destinationPort = PortRange{*destination, *destination};
    insert(std::move(rule));
  }

  std::vector<std::string_view> networks() const {
    if (family_ == Family::v4) return {"224.0.0.0/4", "255.255.255.255/32", "169.254.0.0/16"};
    return {"ff00::/8", "fe80::/10"};
  }

  /// One with a mark is not for packets without any, and one before ours has its effect by itself.
  void foreign() {
    std::vector<Rule> copies;
    for (const Rule& copy : of_.steering.traffic->foreign) {
      const bool ours = copy.inputInterface.empty() || copy.inputInterface == "lo";
      if (copy.family != family_ || !ours || copy.mark.mask != 0 || copy.priority < base_ + kLocalTrafficOffset)
        continue;
      const Rule own = this->own(0);
      copies.push_back(copy);
      copies.back().inputInterface = own.inputInterface;
      copies.back().mark = own.mark;
    }
    const ForeignPlace place{
        .first = base_ + kLocalForeignOffset, .steps = kLocalForeignSteps, .end = base_ + kLocalForeignEndOffset};
    const std::vector<Rule> rules = placed(copies, place);
    rules_.insert(rules.begin(), rules.end());
    if (std::ranges::find(rules, RuleAction::goto_, &Rule::action) != rules.end())
      insert(stampedRule(family_, place.end, RuleAction::nop));
  }

  /// A program that has chosen the address of a WAN means that WAN; also the answers of services.
  void bySource(const Wan& wan) {
    for (const Prefix& address : addressesOf(wan))
      lookups(own(base_ + kLocalSourceOffset), address, of_.config.numbers.wanTable(wan.slot));
  }

  bool isCandidate(const InterfaceAddress& own) const {
    return own.address.family() == family_ && !own.tentative && !own.linkScope && !own.address.isLinkLocal();
  }

  /// A program that has chosen another address of this host, as a service does that answers from where it was asked, or
  /// that began before there were rules: as if these were not there. Unless a rule is about that address, or a WAN
  /// without one of its own sends from it.
  void byOtherSources() {
    for (const InterfaceAddress& own : of_.world.addresses) {
      if (!isCandidate(own)) continue;
      const auto isMeant = [&](const RuleConfig& rule) {
        return std::ranges::any_of(rule.source.any, [&](const Prefix& source) { return source.contains(own.address); });
      };
      const auto sendsFromIt = [&](const Wan& wan) {
        const auto source = wan.source.find(family_);
        return wan.link != nullptr &&
               (wan.link->index == own.device || (source != wan.source.end() && source->second == own.address));
      };
      if (own.address.isLoopback() || std::ranges::any_of(of_.config.rules, isMeant) ||
          std::ranges::any_of(of_.steering.wans, sendsFromIt))
        continue;
      Rule rule = jump(this->own(base_ + kLocalSourceOffset), end());
      rule.source = Prefix::host(own.address);
      insert(std::move(rule));
    }
  }

  std::vector<Prefix> addressesOf(const Wan& wan) const {
    std::vector<Prefix> found;
    if (wan.link == nullptr) return found;
    for (const InterfaceAddress& own : of_.world.addressesOf(wan.link->index))
      if (isCandidate(own) && wanOf(of_.steering.wans, own) == &wan) found.push_back(Prefix::host(own.address));
    return found;
  }

  void lookups(Rule rule, const Prefix& source, TableId table) {
    rule.source = source;
    Rule inside = rule;
    inside.table = kMainTable;
    inside.suppressPrefixLength = 1;
    insert(std::move(inside));
    ++rule.priority;
    insert(in(std::move(rule), table));
  }

  static Rule in(Rule rule, TableId table) {
    rule.table = table;
    return rule;
  }

  /// Rules of a former configuration may be at the same priority with other prefixes, or without any.
  void insert(Rule rule) {
    stampBySelectors(rule);
    rules_.insert(std::move(rule));
  }

  void addRule(const TrafficRule& view, std::uint32_t priority) {
    const std::uint32_t last = priority + kLocalRuleSize - 1;
    const auto selections = selectionsOf(*view.rule);
    if (selections.empty()) return;
    if (exclude(*view.rule, priority, last)) insert(stampedRule(family_, last, RuleAction::nop));
    for (const Rule& selection : selections) {
      Rule inside = selection;
      inside.priority = priority + 1;
      inside.table = kMainTable;
      inside.suppressPrefixLength = 1;
      insert(std::move(inside));
      Rule rule = selection;
      rule.priority = priority + 2;
      if (family_ == Family::v6) letSources(view, rule);
      ++rule.priority;
      use(view, std::move(rule));
    }
  }

  /// A source that only one WAN lets out chooses that WAN (`source_routing`), if the policy has it.
  void letSources(const TrafficRule& view, const Rule& selection) {
    if (!view.policy) return;
    const auto& members = of_.steering.traffic->policies[*view.policy].pins;
    for (const SourcePrefix& each : routedSources(of_.steering)) {
      const auto both = narrower(selection.source.value_or(each.prefix), each.prefix);
      if (!both || !members.contains(each.wan)) continue;
      Rule rule = selection;
      rule.source = both;
      insert(in(std::move(rule), of_.config.numbers.wanTable(of_.steering.wans[each.wan].slot)));
    }
  }

  static std::optional<Prefix> narrower(const Prefix& left, const Prefix& right) {
    if (!left.overlaps(right)) return std::nullopt;
    return left.length() > right.length() ? left : right;
  }

  void use(const TrafficRule& view, Rule rule) {
    switch (view.rule->use) {
      case RuleUse::main:
        insert(jump(std::move(rule), end()));
        return;
      case RuleUse::unreachable:
      case RuleUse::blackhole:
        rule.action = view.rule->use == RuleUse::blackhole ? RuleAction::blackhole : RuleAction::unreachable;
        insert(std::move(rule));
        return;
      case RuleUse::policy:
        break;
    }
    const TrafficPolicy& used = of_.steering.traffic->policies[*view.policy];
    const PolicyView& policy = of_.steering.policies[used.policy];
    Rule otherwise = rule;
    insert(in(std::move(rule), policy.target.table));
    if (policy.lastResort != LastResort::main) return;
    ++otherwise.priority;
    insert(jump(std::move(otherwise), end()));
  }

  /// Those that this host can send from.
  std::vector<std::optional<Prefix>> sources(const RuleConfig& rule) const {
    auto found = prefixes(rule.source, family_);
    std::erase_if(found, [&](const std::optional<Prefix>& source) {
      return source && std::ranges::none_of(of_.world.addresses,
                                            [&](const InterfaceAddress& own) { return source->contains(own.address); });
    });
    return found;
  }

  /// One for each combination of values.
  std::vector<Rule> selectionsOf(const RuleConfig& rule) const {
    std::vector<Rule> made;
    for (const auto& source : sources(rule))
      for (const auto& destination : prefixes(rule.destination, family_))
        for (const auto& protocol : orNone(rule.protocol.any))
          for (const auto& sourcePort : orNone(rule.sourcePort.any))
            for (const auto& destinationPort : orNone(rule.destinationPort.any)) {
              Rule& selection = made.emplace_back(own(0));
              selection.source = source;
              selection.destination = destination;
              selection.ipProtocol = protocol.value_or(0);
              selection.sourcePort = sourcePort;
              selection.destinationPort = destinationPort;
            }
    return made;
  }

  bool exclude(const RuleConfig& rule, std::uint32_t priority, std::uint32_t to) {
    bool any = false;
    const auto each = [&](const std::vector<Prefix>& excluded, std::optional<Prefix> Rule::* selector) {
      for (const Prefix& prefix : excluded) {
        if (prefix.family() != family_) continue;
        Rule pass = jump(own(priority), to);
        pass.*selector = prefix;
        insert(std::move(pass));
        any = true;
      }
    };
    each(rule.source.none, &Rule::source);
    each(rule.destination.none, &Rule::destination);
    return any;
  }

  static constexpr std::uint8_t kUdp = 17;

  const TrafficState& of_;
  Family family_;
  std::uint32_t base_;
  std::set<Rule>& rules_;
};

/// Whether a rule refuses new connections of this host. Ip rules cannot tell them from answers, from ICMP errors and
/// from what exists already; and in IPv6, where they refuse, the kernel chooses any source and asks again
/// (ip6_dst_lookup_tail(), 6.18), so what is allowed to a source is allowed to new connections as well. Conntrack can.
bool refusesNow(const Steering& steering, Family family) {
  return std::ranges::any_of(steering.traffic->rules, [&](const TrafficRule& view) {
    if (isOnlyForwarded(*view.rule) || !concerns(*view.rule, family)) return false;
    if (view.rule->use != RuleUse::policy) return view.rule->use != RuleUse::main;
    const PolicyView& policy = steering.policies[steering.traffic->policies[*view.policy].policy];
    return policy.lastResort != LastResort::main && candidates(steering, policy, family).empty();
  });
}

}  // namespace

bool canRouteLocal(const Config& config, const World& world, const Steering& steering, Family family) {
  // A socket in a VRF finds its table by the rule `l3mdev` at 1000, before which nothing may catch its packets.
  const auto isOfVrf = [](const auto& entry) { return entry.second.inVrf || entry.second.kind == "vrf"; };
  if (std::ranges::any_of(world.links, isOfVrf)) return false;
  if (isLocalBehind(world.rules, family, config.numbers.rulePriority)) return false;
  if (refusesNow(steering, family)) return false;
  std::size_t count = 0;
  for (const RuleConfig& rule : config.rules) {
    if (isOnlyForwarded(rule)) continue;
    if (!isExpressible(rule) || shares(config, rule) || ++count > kLocalRulesAtMost) return false;
  }
  return true;
}

std::uint32_t localBase(const TrafficState& of, Family family) {
  constexpr std::uint32_t kHighest = kMaxRulePriority;
  const std::uint32_t usual = of.config.numbers.rulePriority;
  std::uint32_t base = usual;
  const auto concerns = [&](const Rule& rule) {
    // Packets of this host without a mark: others are led past nothing.
    return rule.family == family && (rule.invert || rule.mark.matches(Mark{})) &&
           (rule.inputInterface.empty() || rule.inputInterface == "lo");
  };
  for (const Rule& rule : of.world.rules)
    if (concerns(rule) && rule.priority >= base + kLocalTrafficOffset && rule.priority < base + kLocalEndOffset)
      base = rule.priority + 1 - kLocalTrafficOffset;
  return base > kHighest ? usual : base;
}

void addLocalRules(const TrafficState& of, Family family, std::set<Rule>& rules) {
  LocalRules{of, family, rules}.add();
}

}  // namespace wgsteer
