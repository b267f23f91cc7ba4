// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/schema.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/numbers.hpp"

#include "config/text.hpp"
#include "config/values.hpp"

namespace wgsteer::config {

namespace {

using enum OptionType;

/// The last usable base: the whole block stays before the main table's rule (32766).
constexpr std::int64_t kMaxRulePriority = 32765 - kRuleBlockSize;

constexpr std::array kGlobals{
    OptionSchema{"mark_mask", markMask},
    OptionSchema{"rule_priority", integer, false, 1, kMaxRulePriority},
    OptionSchema{"on_exit", choice, false, 0, 0, "keep|flush"},
    OptionSchema{"sysctl", boolean},
    OptionSchema{"force", boolean},
    OptionSchema{"forward", boolean},
    OptionSchema{"log_level", choice, false, 0, 0, "error|warn|info|debug"},
};

constexpr std::array kWan{
    OptionSchema{"name", name, true},
    OptionSchema{"device", device, true},
    OptionSchema{"interface", name},
    OptionSchema{"metric", integer, false, kMinMetric, kMaxMetric},
    OptionSchema{"weight", integer, false, 1, kMaxWeight},
    OptionSchema{"dns", addresses},
    OptionSchema{"track_ip", trackIps},
    OptionSchema{"track_method", choice, false, 0, 0, "none|icmp|dns|tcp|mwan3"},
    OptionSchema{"interval", seconds, false, 0, 86400},
    OptionSchema{"timeout", seconds, false, 0, 3600},
    OptionSchema{"down", integer, false, 1, 1000},
    OptionSchema{"up", integer, false, 1, 1000},
    OptionSchema{"count", integer, false, 1, 100},
    OptionSchema{"reliability", integer, false, 1, 100},
    // Room for what makes a probe ours; the most that an IPv4 packet holds.
    OptionSchema{"size", integer, false, kMinProbeSize, 65507},
    OptionSchema{"max_ttl", integer, false, 1, 255},
    OptionSchema{"failure_interval", seconds, false, 0, 86400},
    OptionSchema{"recovery_interval", seconds, false, 0, 86400},
    OptionSchema{"keep_failure_interval", boolean},
    OptionSchema{"check_quality", boolean},
    OptionSchema{"failure_latency", integer, false, 1, 60000},
    OptionSchema{"recovery_latency", integer, false, 1, 60000},
    OptionSchema{"failure_loss", integer, false, 1, 100},
    OptionSchema{"recovery_loss", integer, false, 0, 100},
};

constexpr std::array kPolicy{
    OptionSchema{"name", name, true},
    OptionSchema{"use_wan", members},
    OptionSchema{"last_resort", choice, false, 0, 0, "unreachable|main"},
};

constexpr std::array kTunnel{
    OptionSchema{"interface", device, true},
    OptionSchema{"use_policy", name},
    OptionSchema{"use_wan", members},
    OptionSchema{"role", choice, false, 0, 0, "auto|client|server"},
    OptionSchema{"stall", integer, false, 0, 86400},
    OptionSchema{"hold", integer, false, 1, 86400},
    OptionSchema{"enabled", boolean},
    OptionSchema{"update_endpoint", boolean},
    OptionSchema{"balance", boolean},
};

constexpr std::array kPeer{
    OptionSchema{"tunnel", device, true}, OptionSchema{"public_key", publicKey, true},
    OptionSchema{"endpoint", endpoint},   OptionSchema{"use_policy", name},
    OptionSchema{"use_wan", members},
};

constexpr std::array kSections{
    SectionSchema{"globals", "", true, kGlobals},    SectionSchema{"wan", "name", false, kWan},
    SectionSchema{"policy", "name", false, kPolicy}, SectionSchema{"tunnel", "interface", false, kTunnel},
    SectionSchema{"peer", "", false, kPeer},
};

/// What is wrong with one value; empty if nothing.
std::string wrongWith(const OptionSchema& schema, const Value& value) {
  const auto errorOf = [](const auto& parsed) { return parsed ? std::string{} : parsed.error(); };
  switch (schema.type) {
    case name:
      return errorOf(parseName(value));
    case device:
      return errorOf(parseIfName(value));
    case integer:
      return errorOf(parseInteger(value, schema.low, schema.high));
    case seconds:
      return errorOf(parseSeconds(value, kMinSeconds, static_cast<double>(schema.high)));
    case boolean:
      return errorOf(parseBoolean(value));
    case markMask:
      return errorOf(parseMarkMask(value));
    case choice:
      return errorOf(parseChoice(value, schema.choices));
    case addresses:
      return errorOf(parseAddress(value));
    case trackIps:
      return errorOf(parseTrackIp(value));
    case members:
      return errorOf(parseMember(value));
    case publicKey:
      return errorOf(parsePublicKey(value));
    case endpoint:
      return errorOf(parseEndpoint(value));
  }
  return {};
}

}  // namespace

void checkOption(const OptionSchema& schema, const Option& option, Problems& problems) {
  const bool takesList = schema.type == addresses || schema.type == trackIps || schema.type == members;
  if (option.list && !takesList) {
    problems.add(option.line, option.name, "is a list, must be a single value");
    return;
  }
  if (option.values.empty()) problems.add(option.line, option.name, "is an empty list, must have at least one entry");
  for (const Value& value : option.values)
    if (std::string what = wrongWith(schema, value); !what.empty())
      problems.add(value.line, option.name, std::move(what));
}

namespace {

template <class Range>
std::vector<std::string> namesOf(const Range& schemas, auto member) {
  std::vector<std::string> names;
  for (const auto& schema : schemas) names.emplace_back(schema.*member);
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& each : names) text += (text.empty() ? "" : ", ") + each;
  return text;
}

Option nameAsOption(const SectionSchema& schema, const Section& section) {
  return {.name = std::string{schema.nameOption},
          .values = {Value{.type = ValueType::untyped, .text = section.name.value_or(""), .line = section.line}},
          .list = false,
          .line = section.line};
}

void checkSection(const SectionSchema& schema, const Section& section, Problems& problems) {
  for (auto option = section.options.begin(); option != section.options.end(); ++option) {
    const OptionSchema* known = schema.find(option->name);
    if (known == nullptr) {
      const auto names = namesOf(schema.options, &OptionSchema::name);
      const std::string hint = didYouMean(option->name, names);
      problems.add(option->line, std::string{quoted(option->name)},
                   "unknown option of " + section.type + (hint.empty() ? ", known: " + joined(names) : hint));
      continue;
    }
    if (section.find(option->name) != &*option)
      problems.add(option->line, option->name,
                   "given twice in this section, first on line " + std::to_string(section.find(option->name)->line));
    checkOption(*known, *option, problems);
  }
  if (section.name && section.find(schema.nameOption) == nullptr)
    if (const OptionSchema* named = schema.find(schema.nameOption))
      checkOption(*named, nameAsOption(schema, section), problems);
  for (const OptionSchema& option : schema.options) {
    const bool byName = section.name && option.name == schema.nameOption;
    // netifd knows the device of an interface.
    const bool replaced = option.name == "device" && section.find("interface") != nullptr;
    if (option.required && !byName && !replaced && section.find(option.name) == nullptr)
      problems.add(section.line, std::string{option.name}, "missing: every " + section.type + " needs one");
  }
}

}  // namespace

const OptionSchema* SectionSchema::find(std::string_view wanted) const {
  const auto found = std::ranges::find(options, wanted, &OptionSchema::name);
  return found == options.end() ? nullptr : &*found;
}

std::span<const SectionSchema> allSections() { return kSections; }

const SectionSchema* findSection(std::string_view type) {
  const auto found = std::ranges::find(kSections, type, &SectionSchema::type);
  return found == kSections.end() ? nullptr : &*found;
}

std::string unknownSection(std::string_view type) {
  const auto names = namesOf(kSections, &SectionSchema::type);
  const std::string hint = didYouMean(type, names);
  return "unknown section" + (hint.empty() ? ", known: " + joined(names) : hint);
}

SectionName nameOf(const Section& section) {
  const SectionSchema& schema = *findSection(section.type);
  const Option* given = section.find(schema.nameOption);
  if (given == nullptr && !section.name) return {};
  const Option option = given != nullptr ? *given : nameAsOption(schema, section);
  if (option.list) return {};
  const Value& value = option.values.front();
  const auto parsed = schema.find(schema.nameOption)->type == device ? parseIfName(value) : parseName(value);
  return {parsed.value_or(""), value.line};
}

void checkSections(const Sections& sections, Problems& problems) {
  const Section* globals = nullptr;
  for (const Section& section : sections) {
    const SectionSchema* schema = findSection(section.type);
    if (schema == nullptr) {
      problems.add(section.line, quoted(section.type), unknownSection(section.type));
      continue;
    }
    if (schema->once && globals != nullptr)
      problems.add(section.line, section.type, "given twice, first on line " + std::to_string(globals->line));
    if (schema->once && globals == nullptr) globals = &section;
    checkSection(*schema, section, problems);
  }
}

}  // namespace wgsteer::config
