// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/policies.hpp"

#include <algorithm>
#include <array>

#include "config/text.hpp"

namespace wgsteer::config {

namespace {

/// "fiber+lte", with anything other than the default spelled out: equal lists have equal names.
std::string nameFor(const std::vector<PolicyMember>& members) {
  std::string name;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const PolicyMember& member = members[i];
    if (i > 0) name += '+';
    name += member.wan;
    if (member.metric != i + 1 || member.weight != 1) name += ":" + std::to_string(member.metric);
    if (member.weight != 1) name += ":" + std::to_string(member.weight);
  }
  return name;
}

struct Word {
  std::string_view word;
  RuleUse use;
};
constexpr std::array kWords{Word{"main", RuleUse::main}, Word{"unreachable", RuleUse::unreachable},
                            Word{"blackhole", RuleUse::blackhole}};

bool isSingle(const PolicyConfig& policy) {
  return policy.members.size() == 1 && policy.lastResort == LastResort::unreachable;
}

/// What a list in place asks for, except for the WANs.
bool isPlain(const PolicyConfig& policy) {
  const PolicyConfig plain{.name = policy.name, .members = policy.members};
  return policy == plain;
}

}  // namespace

std::optional<RuleUse> ruleUseOf(std::string_view word) {
  const auto found = std::ranges::find(kWords, word, &Word::word);
  return found == kWords.end() ? std::nullopt : std::optional{found->use};
}

void Policies::define(const Section& section, PolicySection policy) {
  if (!policy.name.empty()) {
    const unsigned line = section.lineOf("name");
    if (policy.name == kDefaultPolicy)
      problems_.add(
          line, "name",
          inQuotes(policy.name) + " is reserved for the policy over all WANs that applies where none is named");
    else if (ruleUseOf(policy.name))
      problems_.add(line, "name", inQuotes(policy.name) + " is reserved: a rule's use_policy gives it another meaning");
    else if (const auto [known, fresh] = lines_.emplace(policy.name, line); !fresh)
      problems_.add(line, "name",
                    "policy " + inQuotes(policy.name) + " is already defined on line " + std::to_string(known->second));
  }
  policy.members = members(section, policy.useWan);
  policies_.push_back(std::move(policy));
}

std::optional<std::string> Policies::of(const Section& section, const PolicyChoice& choice) {
  const bool byName = section.find("use_policy") != nullptr;
  const bool byList = section.find("use_wan") != nullptr;
  if (byName && byList)
    problems_.add(std::max(section.lineOf("use_policy"), section.lineOf("use_wan")), "use_wan",
                  "cannot be combined with use_policy");
  if (byList) {
    auto list = members(section, choice.useWan);
    if (list.empty() || byName) return std::nullopt;
    return inPlace(std::move(list));
  }
  const std::string& name = choice.usePolicy;
  if (name.empty()) return std::nullopt;
  if (name == kDefaultPolicy || lines_.contains(name)) return name;
  std::vector<std::string> known{std::string{kDefaultPolicy}};
  for (const auto& [each, line] : lines_) known.push_back(each);
  if (section.type == "rule")
    for (const Word& each : kWords) known.emplace_back(each.word);
  problems_.add(section.lineOf("use_policy"), "use_policy",
                "policy " + inQuotes(name) + " is not defined" + didYouMean(name, known));
  return std::nullopt;
}

std::size_t Policies::composite() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(policies_, [](const auto& policy) { return !isSingle(policy); }));
}

std::size_t Policies::wansOf(const std::string& name) const {
  const auto policy = std::ranges::find(policies_, name, &PolicyConfig::name);
  if (policy != policies_.end() && !policy->members.empty()) return policy->members.size();
  return std::max<std::size_t>(wans_.size(), 1);
}

std::vector<PolicyMember> Policies::members(const Section& section, const std::vector<Member>& useWan) {
  std::vector<PolicyMember> list;
  for (std::size_t i = 0; i < useWan.size(); ++i) {
    const auto& [wan, metric, weight] = useWan[i];
    if (wan.empty()) continue;  // wrong, and reported
    const unsigned line = section.find("use_wan")->values[i].line;
    if (std::ranges::find(wans_, wan, &WanConfig::name) == wans_.end()) {
      std::vector<std::string> known;
      for (const WanConfig& each : wans_) known.push_back(each.name);
      problems_.add(line, "use_wan", "WAN " + inQuotes(wan) + " is not defined" + didYouMean(wan, known));
    } else if (std::ranges::find(list, wan, &PolicyMember::wan) != list.end()) {
      problems_.add(line, "use_wan", "WAN " + inQuotes(wan) + " is listed twice");
    }
    const auto position = static_cast<std::uint32_t>(list.size() + 1);
    list.push_back({wan, metric.value_or(position), weight.value_or(1)});
  }
  return list;
}

std::string Policies::inPlace(std::vector<PolicyMember> members) {
  // The metric and weight of a single member mean nothing.
  if (members.size() == 1) members.front() = {.wan = members.front().wan, .metric = 1, .weight = 1};
  // Marks are scarce: a policy that is defined already is reused.
  for (const PolicyConfig& policy : policies_)
    if (policy.members == members && isPlain(policy) && !policy.name.empty()) return policy.name;
  const std::string wanted = nameFor(members);
  std::string name = wanted;
  for (unsigned number = 2; taken(name); ++number) name = wanted + "#" + std::to_string(number);
  policies_.push_back({.name = name, .members = std::move(members)});
  return name;
}

bool Policies::taken(const std::string& name) const {
  return name == kDefaultPolicy || ruleUseOf(name) ||
         std::ranges::find(policies_, name, &PolicyConfig::name) != policies_.end();
}

}  // namespace wgsteer::config
