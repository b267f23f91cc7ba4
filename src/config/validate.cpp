// SPDX-License-Identifier: GPL-2.0-or-later
// Checks how options fit together; the schema has already read each one.
#include "config/validate.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "config/policies.hpp"
#include "config/rules.hpp"
#include "config/schema.hpp"
#include "config/text.hpp"

namespace wgsteer::config {

namespace {

std::string onLine(unsigned line) { return " on line " + std::to_string(line); }

/// The values at which a WAN recovers must differ from those at which it fails, or it would never settle.
void checkQuality(const Section& section, const WanConfig& wan, Problems& problems) {
  const auto ordered = [&](std::int64_t recovery, std::int64_t failure, const std::string& what) {
    if (recovery < failure) return;
    const bool own = section.find("recovery_" + what) != nullptr;
    problems.add(
        section.lineOf((own ? "recovery_" : "failure_") + what), "recovery_" + what,
        std::to_string(recovery) + " must be less than failure_" + what + ", which is " + std::to_string(failure));
  };
  ordered(wan.recoveryLatency.count(), wan.failureLatency.count(), "latency");
  ordered(wan.recoveryLoss, wan.failureLoss, "loss");
}

void checkTracking(const Section& section, const WanConfig& wan, Problems& problems) {
  const Option* addresses = section.find("track_ip");
  const bool withPort = wan.trackMethod == TrackMethod::tcp || wan.trackMethod == TrackMethod::dns;
  if (addresses == nullptr) {
    if (withPort || wan.trackMethod == TrackMethod::icmp)
      problems.add(section.line, "track_ip", "missing: this track_method needs at least one address");
    return;
  }
  for (std::size_t i = 0; i < addresses->values.size() && !withPort; ++i)
    if (wan.trackIp[i].port != 0)
      problems.add(addresses->values[i].line, "track_ip",
                   inQuotes(addresses->values[i].text) + " has a port, which only tcp and dns use");
  const std::size_t count = wan.trackIp.size();
  if (section.find("reliability") != nullptr && count > 0 && wan.reliability > count)
    problems.add(section.lineOf("reliability"), "reliability",
                 std::to_string(wan.reliability) +
                     " is more than the number of addresses in track_ip: " + std::to_string(count));
}

/// A second one of a family would be another WAN.
void checkGateways(const Section& section, const WanConfig& wan, Problems& problems) {
  const Option* option = section.find("gateway");
  for (std::size_t i = 1; i < wan.gateway.size(); ++i) {
    const Family family = wan.gateway[i].family();
    if (problems.has(option->values[i].line, "gateway") || *gatewayOf(wan, family) == wan.gateway[i]) continue;
    problems.add(option->values[i].line, "gateway",
                 inQuotes(option->values[i].text) + " is the second " + nameOf(family) +
                     " address: one of each family; another router is another WAN");
  }
}

class Validator {
 public:
  explicit Validator(Problems& problems)
      : problems_(problems), policies_(config_.wans, problems), rules_(policies_, problems) {}

  Config run(const Sections& sections) {
    // Definitions first, wherever they are in the file.
    each(sections, "globals", [this](const Section& section) { globals(section); });
    each(sections, "wan", [this](const Section& section) { wan(section); });
    each(sections, "policy",
         [this](const Section& section) { policies_.define(section, read<PolicySection>(section)); });
    each(sections, "tunnel", [this](const Section& section) { tunnel(section); });
    each(sections, "peer", [this](const Section& section) { peer(section); });
    each(sections, "rule", [this](const Section& section) { rule(section); });
    if (!rules_.empty() && maskLine_ == 0) config_.numbers.markMask = kTrafficMarkMask;
    checkMarks();
    config_.rules = std::move(rules_).take();
    config_.policies = std::move(policies_).take();
    return std::move(config_);
  }

 private:
  using Seen = std::map<std::string, unsigned>;  ///< lines of things that may exist only once

  template <class Action>
  static void each(const Sections& sections, std::string_view type, const Action& action) {
    for (const Section& section : sections)
      if (section.type == type) action(withName(section));
  }
  template <class Filled>
  Filled read(const Section& section, Filled filled = {}) {
    readValues(section, filled, problems_);
    checkNames(section, problems_);
    return filled;
  }

  void globals(const Section& section);
  void wan(const Section& section);
  void wanDevice(const Section& section, const WanConfig& wan);
  void sharedDevice(const Section& section, const WanConfig& wan);
  void tunnel(const Section& section);
  void peer(const Section& section);
  void rule(const Section& section);
  void checkMarks();
  void notAWan(const IfName& device, unsigned line, std::string_view option);
  /// Records a thing that may exist once; an empty one is wrong, and reported.
  void once(Seen& seen, const std::string& what, unsigned line, std::string_view option, const std::string& shown);

  Problems& problems_;
  Config config_;
  Policies policies_;
  Rules rules_;
  unsigned maskLine_ = 0;
  Seen wanNames_;
  Seen wanDevices_;
  std::map<IfName, std::vector<std::pair<WanConfig, unsigned>>> onDevice_;  ///< with the lines of their devices
  Seen wanInterfaces_;
  Seen tunnels_;
  Seen peers_;
};

void Validator::once(Seen& seen, const std::string& what, unsigned line, std::string_view option,
                     const std::string& shown) {
  if (what.empty()) return;
  if (const auto [known, fresh] = seen.emplace(what, line); !fresh)
    problems_.add(line, std::string{option}, shown + " is already defined" + onLine(known->second));
}

void Validator::notAWan(const IfName& device, unsigned line, std::string_view option) {
  if (const auto wan = wanDevices_.find(device); wan != wanDevices_.end())
    problems_.add(line, std::string{option},
                  inQuotes(device) + " is the device of the WAN" + onLine(wan->second) + "; a tunnel cannot be a WAN");
}

void Validator::globals(const Section& section) {
  config_ = read(section, std::move(config_));
  if (section.find("mark_mask") != nullptr) maskLine_ = section.lineOf("mark_mask");
  const Option* tables = section.find("inside_tables");
  std::set<TableId> seen;
  for (std::size_t i = 0; tables != nullptr && i < tables->values.size(); ++i) {
    const TableId table = config_.insideTables[config_.insideTables.size() - tables->values.size() + i];
    const Value& value = tables->values[i];
    if (!seen.insert(table).second && !problems_.has(value.line, "inside_tables"))
      problems_.add(value.line, "inside_tables", "table " + inQuotes(value.text) + " is listed twice");
  }
}

void Validator::wan(const Section& section) {
  WanConfig wan;
  wan.metric = static_cast<std::uint32_t>(config_.wans.size() + 1);
  // Addresses to probe without a method mean ICMP.
  if (section.find("track_ip") != nullptr) wan.trackMethod = TrackMethod::icmp;
  wan = read(section, std::move(wan));
  once(wanNames_, wan.name, section.lineOf("name"), "name", "WAN " + inQuotes(wan.name));
  wanDevice(section, wan);
  checkQuality(section, wan, problems_);
  checkTracking(section, wan, problems_);
  checkGateways(section, wan, problems_);
  config_.wans.push_back(std::move(wan));
}

void Validator::wanDevice(const Section& section, const WanConfig& wan) {
  const bool byDevice = section.find("device") != nullptr;
  const unsigned line = section.lineOf("interface");
  if (section.find("interface") == nullptr) return sharedDevice(section, wan);
  if (byDevice) problems_.add(line, "interface", "cannot be combined with device");
  once(wanInterfaces_, wan.interface, line, "interface", "a WAN with interface " + inQuotes(wan.interface));
}

/// Several WANs may be on one device, behind a router each.
void Validator::sharedDevice(const Section& section, const WanConfig& wan) {
  if (wan.device.empty()) return;
  const unsigned line = section.lineOf("device");
  wanDevices_.emplace(wan.device, line);
  auto& others = onDevice_[wan.device];
  for (const auto& [other, at] : others) {
    if (canShareDevice(other, wan)) continue;
    problems_.add(line, "device",
                  "a WAN with device " + inQuotes(wan.device) + " is already defined" + onLine(at) +
                      "; two WANs on one device need a gateway that only one of them has");
    break;
  }
  others.emplace_back(wan, line);
}

void Validator::tunnel(const Section& section) {
  auto tunnel = read<TunnelSection>(section);
  const unsigned line = section.lineOf("interface");
  once(tunnels_, tunnel.interface, line, "interface", "tunnel " + inQuotes(tunnel.interface));
  notAWan(tunnel.interface, line, "interface");
  if (auto policy = policies_.of(section, tunnel)) tunnel.policy = std::move(*policy);
  if (tunnel.balance && tunnel.role == Role::server)
    problems_.add(section.lineOf("balance"), "balance",
                  "is not for servers: their replies leave by the WAN on which the request came in");
  config_.tunnels.push_back(std::move(tunnel));
}

void Validator::peer(const Section& section) {
  auto peer = read<PeerSection>(section);
  notAWan(peer.tunnel, section.lineOf("tunnel"), "tunnel");
  const unsigned line = section.lineOf("public_key");
  if (section.find("public_key") != nullptr && !problems_.has(line, "public_key"))
    once(peers_, peer.tunnel + '/' + peer.publicKey.toString(), line, "public_key", "this peer of the tunnel");
  peer.policy = policies_.of(section, peer);
  config_.peers.push_back(std::move(peer));
}

void Validator::rule(const Section& section) {
  const std::size_t before = problems_.size();
  auto rule = read<RuleSection>(section);
  rules_.define(section, std::move(rule), problems_.size() == before);
}

void Validator::checkMarks() {
  if (problems_.has(maskLine_, "mark_mask")) return;
  constexpr std::size_t kMost = Numbers{.markMask = kTrafficMarkMask}.slotCount();
  const std::size_t wans = std::max<std::size_t>(config_.wans.size(), 1);
  const std::size_t composite = policies_.composite();
  const Rules::Marks rules = rules_.marks();
  // What arrives by a WAN goes back by it.
  const std::size_t arrivals = rules_.empty() ? 0 : wans;
  const std::size_t needed = wans + 1 + composite + arrivals + rules.sum();
  const unsigned available = config_.numbers.slotCount();
  if (needed <= available) return;
  std::string parts = "WANs: " + std::to_string(wans) +
                      ", policies of more than one WAN: " + std::to_string(composite) + ", default policy: 1";
  if (!rules_.empty())
    parts += ", for rules once more WANs: " + std::to_string(arrivals) +
             ", policies: " + std::to_string(rules.policies) + ", WANs of these: " + std::to_string(rules.exits) +
             ", unreachable and blackhole: " + std::to_string(rules.closed);
  const std::string advice =
      needed <= kMost ? "widen it, for example to " + hex(kTrafficMarkMask)
                      : "no mask has more than " + std::to_string(kMost) + ": use fewer WANs, policies or sticky rules";
  problems_.add(maskLine_, "mark_mask",
                hex(config_.numbers.markMask) + " has " + std::to_string(available) + " marks, but " +
                    std::to_string(needed) + " are needed (" + parts + "); " + advice);
}

/// Reports unknown sections, and those that may exist only once.
void checkSections(const Sections& sections, Problems& problems) {
  const Section* globals = nullptr;
  for (const Section& section : sections) {
    const SectionSchema* schema = findSection(section.type);
    if (schema == nullptr) problems.add(section.line, inQuotes(section.type), unknownSection(section.type));
    if (schema == nullptr || !schema->once) continue;
    if (globals != nullptr)
      problems.add(section.line, section.type, "given twice, first on line " + std::to_string(globals->line));
    else
      globals = &section;
  }
}

}  // namespace

Config validate(const Sections& sections, Problems& problems) {
  checkSections(sections, problems);
  return Validator{problems}.run(sections);
}

}  // namespace wgsteer::config
