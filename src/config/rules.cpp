// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/rules.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <utility>

#include "wgsteer/core/traffic.hpp"

#include "config/text.hpp"

namespace wgsteer::config {

namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
/// With DCCP, SCTP and UDP-Lite.
constexpr std::array<std::uint8_t, 5> kWithPorts{kTcp, kUdp, 33, 132, 136};

bool isListed(const auto& list, const auto& value) { return std::ranges::find(list, value) != list.end(); }

/// The family of all that is selected, if it is a single one.
std::optional<Family> familyOf(const Selector<Prefix>& prefixes) {
  if (prefixes.any.empty()) return std::nullopt;
  const Family first = prefixes.any.front().family();
  const bool single = std::ranges::all_of(prefixes.any, [&](const Prefix& each) { return each.family() == first; });
  return single ? std::optional{first} : std::nullopt;
}

}  // namespace

void Rules::define(const Section& section, RuleSection rule, bool valuesAreRight) {
  ++position_;
  giveName(section, rule);
  chooseUse(section, rule);
  // What could be said about values that are wrong anyway would be a guess.
  if (valuesAreRight) checkTogether(section, rule);
  if (rule.enabled) rules_.push_back(std::move(rule));
}

void Rules::checkTogether(const Section& section, RuleSection& rule) {
  const std::size_t before = problems_.size();
  rule.source = selectorOf(section, "src_ip", rule.srcIp);
  rule.destination = selectorOf(section, "dest_ip", rule.destIp);
  rule.sourcePort = selectorOf(section, "src_port", rule.srcPort);
  rule.destinationPort = selectorOf(section, "dest_port", rule.destPort);
  rule.inputDevice = selectorOf(section, "src_iface", rule.srcIface);
  rule.sourceMac = selectorOf(section, "src_mac", rule.srcMac);
  rule.dscp = selectorOf(section, "dscp", rule.dscpList);
  chooseProtocols(section, rule);
  checkPorts(section, rule);
  checkFamilies(section, rule);
  checkOrigin(section, rule);
  checkSticky(section, rule);
  // What is left of selectors that contradict each other in another way would be a second error for one mistake.
  if (problems_.size() == before) checkPossible(section, rule);
}

Rules::Marks Rules::marks() const {
  Marks marks;
  std::set<std::string> used;
  std::set<RuleUse> closed;
  for (const RuleConfig& rule : rules_) {
    if (rule.use == RuleUse::unreachable || rule.use == RuleUse::blackhole) closed.insert(rule.use);
    if (rule.use != RuleUse::policy) continue;
    if (!rule.sticky && !used.insert(rule.policy).second) continue;
    ++marks.policies;
    marks.exits += policies_.wansOf(rule.policy);
  }
  marks.closed = closed.size();
  return marks;
}

void Rules::giveName(const Section& section, RuleSection& rule) {
  if (rule.name.empty() && section.find("name") != nullptr) return;  // wrong, and reported
  if (rule.name.empty()) rule.name = std::to_string(position_);
  const unsigned line = section.lineOf("name");
  if (const auto [known, fresh] = lines_.emplace(rule.name, line); !fresh)
    problems_.add(line, "name",
                  "rule " + inQuotes(rule.name) + " is already defined on line " + std::to_string(known->second));
}

void Rules::chooseUse(const Section& section, RuleSection& rule) {
  if (section.find("use_policy") == nullptr && section.find("use_wan") == nullptr)
    return problems_.add(section.line, "use_policy", "missing: every rule needs use_policy or use_wan");
  if (const auto use = ruleUseOf(rule.usePolicy); use && section.find("use_wan") == nullptr) {
    rule.use = *use;
    return;
  }
  // A rule that is not in use must not leave a policy behind.
  rule.policy = (rule.enabled ? policies_.of(section, rule) : Policies{policies_}.of(section, rule)).value_or("");
}

template <class T>
Selector<T> Rules::selectorOf(const Section& section, std::string_view option, const std::vector<Entry<T>>& entries) {
  Selector<T> selector;
  std::map<T, std::size_t> excluded;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    (entries[i].excluded ? selector.none : selector.any).push_back(entries[i].value);
    if (entries[i].excluded) excluded.emplace(entries[i].value, i);
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto found = excluded.find(entries[i].value);
    if (entries[i].excluded || found == excluded.end()) continue;
    const std::vector<Value>& values = section.find(option)->values;
    problems_.add(values[i].line, std::string{option},
                  inQuotes(values[i].text) + " is excluded as well, by " + inQuotes(values[found->second].text) +
                      ": remove one of them");
  }
  return selector;
}

void Rules::chooseProtocols(const Section& section, RuleSection& rule) {
  std::vector<Entry<std::uint8_t>> numbers;
  for (std::size_t i = 0; i < rule.proto.size(); ++i) {
    const auto& [excluded, protocol] = rule.proto[i];
    if (protocol) {
      numbers.push_back({excluded, *protocol});
    } else if (excluded || rule.proto.size() > 1) {
      const Value& value = section.find("proto")->values[i];
      return problems_.add(value.line, "proto",
                           inQuotes(value.text) + (excluded ? " leaves no protocol: remove it"
                                                            : " means every protocol: remove it, or all others"));
    }
  }
  rule.protocol = selectorOf(section, "proto", numbers);
}

/// Ports alone mean TCP and UDP.
void Rules::checkPorts(const Section& section, RuleSection& rule) {
  const Option* ports = section.find(rule.srcPort.empty() ? "dest_port" : "src_port");
  if (ports == nullptr) return;
  const Option* proto = section.find("proto");
  for (std::size_t i = 0; i < rule.proto.size(); ++i) {
    const auto& [excluded, protocol] = rule.proto[i];
    if (excluded || !protocol || isListed(kWithPorts, *protocol)) continue;
    problems_.add(proto->values[i].line, "proto",
                  inQuotes(proto->values[i].text) + " has no ports, but there is a " + ports->name +
                      ": only tcp, udp, udplite, sctp and dccp have; write a rule of its own without ports");
  }
  if (!rule.protocol.any.empty()) return;
  for (const std::uint8_t protocol : {kTcp, kUdp})
    if (!isListed(rule.protocol.none, protocol)) rule.protocol.any.push_back(protocol);
  if (rule.protocol.any.empty())
    problems_.add(proto->line, "proto",
                  "excludes tcp and udp, which " + ports->name + " alone means: name the protocol instead");
}

void Rules::checkFamilies(const Section& section, const RuleSection& rule) {
  const auto checkAgainst = [&](std::string_view name, const std::vector<Entry<Prefix>>& entries) {
    for (std::size_t i = 0; i < entries.size() && rule.family; ++i) {
      const Family family = entries[i].value.family();
      const Value& value = section.find(name)->values[i];
      if (family == *rule.family) continue;
      problems_.add(value.line, std::string{name},
                    inQuotes(value.text) + " is " + nameOf(family) + ", but family is " + keyOf(*rule.family) +
                        ": remove one of them");
    }
  };
  checkAgainst("src_ip", rule.srcIp);
  checkAgainst("dest_ip", rule.destIp);
  const auto from = familyOf(rule.source);
  const auto to = familyOf(rule.destination);
  if (rule.family || !from || !to || *from == *to) return;
  problems_.add(section.lineOf("dest_ip"), "dest_ip",
                std::string{"is "} + nameOf(*to) + " alone, and src_ip is " + nameOf(*from) +
                    " alone: no packet has both; write a rule for each family");
}

void Rules::checkOrigin(const Section& section, const RuleSection& rule) {
  if (rule.origin != Origin::local) return;
  for (const char* option : {"src_iface", "src_mac"})
    if (section.find(option) != nullptr)
      problems_.add(section.lineOf(option), option,
                    "cannot be combined with origin local: only what arrives has one; remove one of them");
}

/// Whether there are packets that the rule may match.
void Rules::checkPossible(const Section& section, const RuleSection& rule) {
  constexpr std::uint8_t kLastProtocol = 255;
  constexpr std::uint8_t kLastDscp = 63;
  checkLeft(section, "src_port", leavesOf(rule.sourcePort));
  checkLeft(section, "dest_port", leavesOf(rule.destinationPort));
  checkLeft(section, "src_mac", leavesOf(rule.sourceMac));
  checkLeft(section, "proto", leavesOf(rule.protocol, kLastProtocol));
  checkLeft(section, "dscp", leavesOf(rule.dscp, kLastDscp));
  checkAddresses(section, rule);
}

/// A rule that is possible in one family alone is right.
void Rules::checkAddresses(const Section& section, const RuleSection& rule) {
  Leaves from = Leaves::nothing;
  Leaves to = Leaves::nothing;
  for (const Family family : kFamilies) {
    if (!concerns(rule, family)) continue;
    const Leaves sources = leavesOf(rule.source, family);
    const Leaves destinations = leavesOf(rule.destination, family);
    if (sources == Leaves::something && destinations == Leaves::something) return;
    from = std::min(from, sources);
    to = std::min(to, destinations);
  }
  checkLeft(section, "src_ip", from);
  checkLeft(section, "dest_ip", to);
  if (from != Leaves::something || to != Leaves::something) return;
  problems_.add(section.lineOf("dest_ip"), "dest_ip",
                "leaves one family alone, and src_ip the other: no packet has both; remove an exclusion");
}

void Rules::checkLeft(const Section& section, const std::string& option, Leaves left) {
  const Option* found = section.find(option);
  if (left == Leaves::something || found == nullptr) return;
  const auto isExclusion = [](const Value& value) { return value.text.starts_with('!'); };
  const std::vector<Value>& values = found->values;
  const auto selected = std::ranges::find_if_not(values, isExclusion);
  const auto excluded = std::ranges::find_if(values, isExclusion);
  const Value& first = selected == values.end() ? values.front() : *selected;
  const std::string what = values.size() == 1 ? inQuotes(first.text) : std::string{"all that it selects"};
  if (left == Leaves::groups)
    return problems_.add(first.line, option,
                         what + (option == "dest_ip" ? " is multicast or broadcast, which is left alone whatever rules "
                                                       "say: name other addresses"
                                                     : " is an address of a group, which no sender has: name others"));
  if (selected == values.end())
    return problems_.add(first.line, option, "excludes everything, so that nothing matches: remove an exclusion");
  problems_.add(first.line, option,
                values.size() == 2 ? inQuotes(first.text) + " is excluded as well, by " + inQuotes(excluded->text) +
                                         ": remove one of them"
                                   : "all that it selects is excluded as well, so that nothing matches: remove an "
                                     "exclusion");
}

void Rules::checkSticky(const Section& section, const RuleSection& rule) {
  if (rule.sticky && rule.use != RuleUse::policy)
    problems_.add(section.lineOf("sticky"), "sticky",
                  "cannot be combined with use_policy " + inQuotes(rule.usePolicy) +
                      ": only WANs can be remembered; remove it, or name a policy");
  if (section.find("timeout") != nullptr && !rule.sticky)
    problems_.add(section.lineOf("timeout"), "timeout", "means nothing without sticky: turn that on, or remove this");
}

}  // namespace wgsteer::config
