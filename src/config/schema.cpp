// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/schema.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <tuple>

#include "wgsteer/core/numbers.hpp"

#include "config/kinds.hpp"
#include "config/rows.hpp"
#include "config/text.hpp"

namespace wgsteer::config {

namespace {

constexpr Traits kRequired{.required = true};
constexpr Traits kAsMwan3{.mwan3 = true};

constexpr std::tuple kGlobals{
    Row{"mark_mask", MarkMask{}, [](Config& config) -> auto& { return config.numbers.markMask; }},
    Row{"rule_priority", Integer{1, kMaxRulePriority},
        [](Config& config) -> auto& { return config.numbers.rulePriority; }},
    Row{"on_exit", Choice{"keep|flush", OnExit::keep, OnExit::flush}, &Config::onExit},
    Row{"sysctl", Flag{}, &Config::sysctl},
    Row{"force", Flag{}, &Config::force},
    Row{"forward", Flag{}, &Config::forward},
    Row{"inside_tables", InsideTable{}, &Config::insideTables},
    Row{"inside_prefixes", Prefix6{}, &Config::insidePrefixes},
    Row{"log_level", Choice{"error|warn|info|debug", LogLevel::error, LogLevel::warn, LogLevel::info, LogLevel::debug},
        &Config::logLevel},
};

constexpr std::tuple kWan{
    Row{"name", Name{}, &WanConfig::name, kRequired},
    // netifd knows the device of an interface.
    Row{"device", Device{}, &WanConfig::device, Traits{.required = true, .unless = "interface"}},
    Row{"interface", Name{}, &WanConfig::interface},
    Row{"gateway", RouterAddress{}, &WanConfig::gateway},
    Row{"metric", Integer{kMinMetric, kMaxMetric}, &WanConfig::metric},
    Row{"weight", Integer{1, kMaxWeight}, &WanConfig::weight},
    Row{"dns", ServerAddress{}, &WanConfig::dns},
    Row{"metered", Flag{}, &WanConfig::metered},
    Row{"prefixes", Prefix6{}, &WanConfig::prefixes},
    Row{"source_routing", Flag{}, &WanConfig::sourceRouting},
    Row{"deprecate", Flag{}, &WanConfig::deprecate},
    Row{"track_ip", ProbeAddress{}, &WanConfig::trackIp},
    Row{"track_method",
        Choice{"none|icmp|dns|tcp|mwan3", TrackMethod::none, TrackMethod::icmp, TrackMethod::dns, TrackMethod::tcp,
               TrackMethod::mwan3},
        &WanConfig::trackMethod},
    Row{"interval", Seconds{86400}, &WanConfig::interval, kAsMwan3},
    Row{"timeout", Seconds{3600}, &WanConfig::timeout, kAsMwan3},
    Row{"down", Integer{1, 1000}, &WanConfig::down, kAsMwan3},
    Row{"up", Integer{1, 1000}, &WanConfig::up, kAsMwan3},
    Row{"count", Integer{1, 100}, &WanConfig::count, kAsMwan3},
    Row{"reliability", Integer{1, 100}, &WanConfig::reliability, kAsMwan3},
    // At least room for what identifies our probes; at most what an IPv4 packet can hold.
    Row{"size", Integer{kMinProbeSize, 65507}, &WanConfig::size, kAsMwan3},
    Row{"max_ttl", Integer{1, 255}, &WanConfig::maxTtl, kAsMwan3},
    Row{"failure_interval", Seconds{86400}, &WanConfig::failureInterval, kAsMwan3},
    Row{"recovery_interval", Seconds{86400}, &WanConfig::recoveryInterval, kAsMwan3},
    Row{"keep_failure_interval", Flag{}, &WanConfig::keepFailureInterval, kAsMwan3},
    Row{"check_quality", Flag{}, &WanConfig::checkQuality, kAsMwan3},
    Row{"failure_latency", Integer{1, 60000}, &WanConfig::failureLatency, kAsMwan3},
    Row{"recovery_latency", Integer{1, 60000}, &WanConfig::recoveryLatency, kAsMwan3},
    Row{"failure_loss", Integer{1, 100}, &WanConfig::failureLoss, kAsMwan3},
    Row{"recovery_loss", Integer{0, 100}, &WanConfig::recoveryLoss, kAsMwan3},
};

constexpr std::tuple kPolicy{
    Row{"name", Name{}, &PolicySection::name, kRequired},
    Row{"use_wan", MemberWan{}, &PolicySection::useWan},
    Row{"last_resort", Choice{"unreachable|main", LastResort::unreachable, LastResort::main},
        &PolicySection::lastResort},
    Row{"failback", Choice{"keep|drain|move", Failback::keep, Failback::drain, Failback::move},
        &PolicySection::failback},
    Row{"drain_after", Integer{5, 86400}, &PolicySection::drainAfter},
    Row{"reset", Flag{}, &PolicySection::reset},
    Row{"balance", Choice{"connection|pair|source", Balance::connection, Balance::pair, Balance::source},
        &PolicySection::balance},
    Row{"ipv6",
        Choice{"none|reject|masquerade|translate", ForeignSource::none, ForeignSource::reject,
               ForeignSource::masquerade, ForeignSource::translate},
        &PolicySection::foreignSource},
};

constexpr std::tuple kTunnel{
    Row{"interface", Device{}, &TunnelSection::interface, kRequired},
    Row{"use_policy", Name{}, &TunnelSection::usePolicy},
    Row{"use_wan", MemberWan{}, &TunnelSection::useWan},
    Row{"role", Choice{"auto|client|server", Role::automatic, Role::client, Role::server}, &TunnelSection::role},
    Row{"stall", Integer{0, 86400}, &TunnelSection::stall},
    Row{"hold", Integer{1, 86400}, &TunnelSection::hold},
    Row{"enabled", Flag{}, &TunnelSection::enabled},
    Row{"update_endpoint", Flag{}, &TunnelSection::updateEndpoint},
    Row{"balance", Flag{}, &TunnelSection::balance},
};

constexpr std::tuple kPeer{
    Row{"tunnel", Device{}, &PeerSection::tunnel, kRequired},
    Row{"public_key", Key{}, &PeerSection::publicKey, kRequired},
    Row{"endpoint", PeerAddress{}, &PeerSection::endpoint},
    Row{"use_policy", Name{}, &PeerSection::usePolicy},
    Row{"use_wan", MemberWan{}, &PeerSection::useWan},
};

/// A week.
constexpr std::int64_t kMaxStickyTimeout = std::int64_t{7} * 86400;

constexpr std::tuple kRule{
    Row{"name", Name{}, &RuleSection::name},
    Row{"src_ip", Prefixes{}, &RuleSection::srcIp},
    Row{"dest_ip", Prefixes{}, &RuleSection::destIp},
    Row{"src_port", Ports{}, &RuleSection::srcPort},
    Row{"dest_port", Ports{}, &RuleSection::destPort},
    Row{"proto", Protocols{}, &RuleSection::proto},
    Row{"family",
        Choice{"any|ipv4|ipv6", std::optional<Family>{}, std::optional{Family::v4}, std::optional{Family::v6}},
        &RuleSection::family},
    Row{"src_iface", Devices{}, &RuleSection::srcIface},
    Row{"origin", Choice{"any|forwarded|local", Origin::any, Origin::forwarded, Origin::local}, &RuleSection::origin},
    Row{"src_mac", Macs{}, &RuleSection::srcMac},
    Row{"dscp", Dscps{}, &RuleSection::dscpList},
    Row{"use_policy", Name{}, &RuleSection::usePolicy},
    Row{"use_wan", MemberWan{}, &RuleSection::useWan},
    Row{"sticky", Flag{}, &RuleSection::sticky},
    Row{"timeout", Integer{1, kMaxStickyTimeout}, &RuleSection::timeout},
    Row{"enabled", Flag{}, &RuleSection::enabled},
};

constexpr auto kGlobalsOptions = optionsOf(kGlobals);
constexpr auto kWanOptions = optionsOf(kWan);
constexpr auto kPolicyOptions = optionsOf(kPolicy);
constexpr auto kTunnelOptions = optionsOf(kTunnel);
constexpr auto kPeerOptions = optionsOf(kPeer);
constexpr auto kRuleOptions = optionsOf(kRule);

constexpr std::array kSections{
    SectionSchema{"globals", "", true, kGlobalsOptions},    SectionSchema{"wan", "name", false, kWanOptions},
    SectionSchema{"policy", "name", false, kPolicyOptions}, SectionSchema{"tunnel", "interface", false, kTunnelOptions},
    SectionSchema{"peer", "", false, kPeerOptions},         SectionSchema{"rule", "name", false, kRuleOptions},
};

template <class Range>
std::vector<std::string> namesOf(const Range& schemas, auto member) {
  std::vector<std::string> names;
  for (const auto& schema : schemas) names.emplace_back(schema.*member);
  return names;
}

/// ", did you mean 'metric'?", or all of them if none is similar.
std::string hintAt(std::string_view word, const std::vector<std::string>& known) {
  if (std::string hint = didYouMean(word, known); !hint.empty()) return hint;
  std::string all;
  for (const std::string& each : known) all += (all.empty() ? ", known: " : ", ") + each;
  return all;
}

}  // namespace

void readValues(const Section& section, Config& globals, Problems& problems) {
  readRows(kGlobals, section, globals, problems);
}
void readValues(const Section& section, WanConfig& wan, Problems& problems) { readRows(kWan, section, wan, problems); }
void readValues(const Section& section, PolicySection& policy, Problems& problems) {
  readRows(kPolicy, section, policy, problems);
}
void readValues(const Section& section, TunnelSection& tunnel, Problems& problems) {
  readRows(kTunnel, section, tunnel, problems);
}
void readValues(const Section& section, PeerSection& peer, Problems& problems) {
  readRows(kPeer, section, peer, problems);
}
void readValues(const Section& section, RuleSection& rule, Problems& problems) {
  readRows(kRule, section, rule, problems);
}

void checkNames(const Section& section, Problems& problems) {
  const SectionSchema& schema = *findSection(section.type);
  for (const Option& option : section.options) {
    const Option* first = section.find(option.name);
    if (schema.find(option.name) == nullptr)
      problems.add(
          option.line, inQuotes(option.name),
          "unknown option of " + section.type + hintAt(option.name, namesOf(schema.options, &OptionSchema::name)));
    else if (first != &option)
      problems.add(option.line, option.name,
                   "given twice in this section, first on line " + std::to_string(first->line));
  }
  for (const auto& [name, type, traits] : schema.options) {
    const bool replaced = !traits.unless.empty() && section.find(traits.unless) != nullptr;
    if (traits.required && !replaced && section.find(name) == nullptr)
      problems.add(section.line, std::string{name}, "missing: every " + section.type + " needs one");
  }
}

Section withName(Section section) {
  const SectionSchema& schema = *findSection(section.type);
  if (section.name && !schema.nameOption.empty() && section.find(schema.nameOption) == nullptr)
    section.options.push_back({.name = std::string{schema.nameOption},
                               .values = {{ValueType::untyped, *section.name, section.line}},
                               .list = false,
                               .line = section.line});
  return section;
}

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
  return "unknown section" + hintAt(type, namesOf(kSections, &SectionSchema::type));
}

}  // namespace wgsteer::config
