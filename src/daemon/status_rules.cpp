// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/status_rules.hpp"

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "wgsteer/core/rule_effect.hpp"

namespace wgsteer {

namespace {

using Json = nlohmann::json;

const char* wordOf(RuleUse use) {
  switch (use) {
    case RuleUse::main:
      return "main";
    case RuleUse::unreachable:
      return "unreachable";
    case RuleUse::blackhole:
      return "blackhole";
    case RuleUse::policy:
      break;
  }
  return "policy";
}

Json ruleDocument(const RuleEffect& effect, const MatchesByRule& matches) {
  const RuleConfig& rule = *effect.rule;
  const auto matched = matches.find(rule.name);
  Json document{{"name", rule.name},
                {"use", rule.use == RuleUse::policy ? rule.policy : wordOf(rule.use)},
                {"sticky", rule.sticky},
                {"connections", matched == matches.end() ? Json(nullptr) : Json(matched->second)},
                {"no_effect", effect.whyNone.empty() ? Json(nullptr) : Json(effect.whyNone)}};
  for (const Family family : kFamilies)
    document[keyOf(family)] = effect.exits.contains(family) ? Json(effect.exits.at(family)) : Json(nullptr);
  return document;
}

Json markDocument(const ExitMark& mark) {
  const auto orNull = [](const std::string& name) { return name.empty() ? Json(nullptr) : Json(name); };
  return {{"mark", mark.mark.toString()},
          {"policy", orNull(mark.policy)},
          {"rule", orNull(mark.rule)},
          {"connections", nullptr}};
}

/// Of "0x41000000/0xff000000", as conntrack(8) takes it.
std::optional<MarkMatch> markOf(const Json& document) {
  const std::string text = document.value("mark", std::string{});
  const auto slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  const auto number = [&](std::size_t from, std::size_t to, std::uint32_t& value) {
    return from + 2 < to && std::from_chars(text.data() + from + 2, text.data() + to, value, 16).ec == std::errc{};
  };
  MarkMatch mark{};
  if (!number(0, slash, mark.value) || !number(slash + 1, text.size(), mark.mask)) return std::nullopt;
  return mark;
}

}  // namespace

void addRules(const Config& config, const World& world, const Steering& steering, const MatchesByRule& matches,
              Json& document) {
  if (config.rules.empty()) return;
  document["rules"] = Json::array();
  for (const RuleEffect& effect : ruleEffects(config, world, steering))
    document["rules"].push_back(ruleDocument(effect, matches));
  document["exits"] = Json::array();
  const std::vector<ExitMark> marks = exitMarks(steering, config.numbers);
  for (std::size_t wan = 0; wan < steering.wans.size(); ++wan) {
    Json exit{{"wan", steering.wans[wan].name}, {"connections", nullptr}, {"marks", Json::array()}};
    for (const ExitMark& mark : marks)
      if (mark.wan == wan) exit["marks"].push_back(markDocument(mark));
    document["exits"].push_back(std::move(exit));
  }
}

std::uint32_t exitMask(const Json& document) {
  std::uint32_t mask = 0;
  for (const Json& exit : document.value("exits", Json::array()))
    for (const Json& each : exit.at("marks"))
      if (const auto mark = markOf(each)) mask |= mark->mask;
  return mask;
}

void addConnections(const std::map<std::uint32_t, std::size_t>& byMark, Json& document) {
  if (!document.contains("exits")) return;
  for (Json& exit : document.at("exits")) {
    std::size_t all = 0;
    for (Json& each : exit.at("marks")) {
      const auto mark = markOf(each);
      if (!mark) continue;
      const auto known = byMark.find(mark->value);
      const std::size_t connections = known == byMark.end() ? 0 : known->second;
      each["connections"] = connections;
      all += connections;
    }
    exit["connections"] = all;
  }
}

}  // namespace wgsteer
