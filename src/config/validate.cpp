// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/validate.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "wgsteer/core/address.hpp"

#include "config/policies.hpp"
#include "config/schema.hpp"
#include "config/text.hpp"
#include "config/values.hpp"

namespace wgsteer::config {

namespace {

/// Options that are right, by name, and written to their place. What is wrong with others checkSections() has said.
class Reader {
 public:
  explicit Reader(const Section& section) : section_(section), schema_(findSection(section.type)) {}

  void get(std::string_view name, bool& to) const {
    if (const Value* value = single(name))
      if (const auto parsed = parseBoolean(*value)) to = *parsed;
  }
  void get(std::string_view name, std::uint32_t& to) const {
    const OptionSchema& schema = *schema_->find(name);
    if (const Value* value = single(name))
      if (const auto parsed = parseInteger(*value, schema.low, schema.high)) to = static_cast<std::uint32_t>(*parsed);
  }
  void get(std::string_view name, double& to) const {
    if (const Value* value = single(name))
      if (const auto parsed = parseSeconds(*value, kMinSeconds, static_cast<double>(schema_->find(name)->high)))
        to = *parsed;
  }
  void get(std::string_view name, std::optional<double>& to) const {
    double seconds = 0;
    get(name, seconds);
    if (seconds > 0) to = seconds;
  }
  /// `inOrder` are the enumerators in the order of the schema's choices.
  template <class Enum, std::size_t N>
  void get(std::string_view name, Enum& to, const std::array<Enum, N>& inOrder) const {
    if (const Value* value = single(name))
      if (const auto parsed = parseChoice(*value, schema_->find(name)->choices)) to = inOrder.at(*parsed);
  }
  const Value* single(std::string_view name) const { return section_.single(name); }

 private:
  const Section& section_;
  const SectionSchema* schema_;
};

std::string inLine(unsigned line) { return " on line " + std::to_string(line); }

class Validator {
 public:
  explicit Validator(Problems& problems) : problems_(problems), policies_(config_.wans, problems) {}

  Config run(const Sections& sections) {
    // Definitions first, wherever they stand.
    each(sections, "globals", [this](const Section& section) { globals(section); });
    each(sections, "wan", [this](const Section& section) { wan(section); });
    each(sections, "policy", [this](const Section& section) { policies_.define(section); });
    each(sections, "tunnel", [this](const Section& section) { tunnel(section); });
    each(sections, "peer", [this](const Section& section) { peer(section); });
    checkMarks();
    config_.policies = std::move(policies_).take();
    return std::move(config_);
  }

 private:
  template <class Action>
  static void each(const Sections& sections, std::string_view type, const Action& action) {
    for (const Section& section : sections)
      if (section.type == type) action(section);
  }

  void globals(const Section& section);
  void wan(const Section& section);
  void wanDevice(const Section& section, WanConfig& wan);
  void tracking(const Section& section, WanConfig& wan);
  void quality(const Section& section, WanConfig& wan);
  void tunnel(const Section& section);
  void peer(const Section& section);
  void checkMarks();
  /// Records a thing that may exist once.
  void once(std::map<std::string, unsigned>& seen, const std::string& what, unsigned line, std::string_view option,
            const std::string& shown);

  Problems& problems_;
  Config config_;
  Policies policies_;
  bool goodMask_ = true;
  unsigned maskLine_ = 0;
  std::map<std::string, unsigned> wanNames_;
  std::map<IfName, unsigned> wanDevices_;
  std::map<std::string, unsigned> wanInterfaces_;
  std::map<IfName, unsigned> tunnels_;
  std::map<std::string, unsigned> peers_;
};

void Validator::once(std::map<std::string, unsigned>& seen, const std::string& what, unsigned line,
                     std::string_view option, const std::string& shown) {
  if (const auto [known, fresh] = seen.emplace(what, line); !fresh)
    problems_.add(line, std::string{option}, shown + " is already defined" + inLine(known->second));
}

void Validator::globals(const Section& section) {
  const Reader reader{section};
  if (const Value* value = reader.single("mark_mask")) {
    const auto mask = parseMarkMask(*value);
    goodMask_ = mask.has_value();
    maskLine_ = value->line;
    if (mask) config_.numbers.markMask = *mask;
  }
  reader.get("rule_priority", config_.numbers.rulePriority);
  reader.get("on_exit", config_.onExit, std::array{OnExit::keep, OnExit::flush});
  reader.get("sysctl", config_.sysctl);
  reader.get("force", config_.force);
  reader.get("forward", config_.forward);
  reader.get("log_level", config_.logLevel,
             std::array{LogLevel::error, LogLevel::warn, LogLevel::info, LogLevel::debug});
}

void Validator::wan(const Section& section) {
  WanConfig wan;
  if (const auto [name, line] = nameOf(section); !name.empty()) {
    once(wanNames_, name, line, "name", "WAN " + quoted(name));
    wan.name = name;
  }
  wanDevice(section, wan);
  wan.metric = static_cast<std::uint32_t>(config_.wans.size() + 1);
  const Reader reader{section};
  reader.get("metric", wan.metric);
  reader.get("weight", wan.weight);
  reader.get("interval", wan.interval);
  reader.get("timeout", wan.timeout);
  reader.get("down", wan.down);
  reader.get("up", wan.up);
  reader.get("count", wan.count);
  reader.get("reliability", wan.reliability);
  reader.get("size", wan.size);
  reader.get("max_ttl", wan.maxTtl);
  reader.get("failure_interval", wan.failureInterval);
  reader.get("recovery_interval", wan.recoveryInterval);
  reader.get("keep_failure_interval", wan.keepFailureInterval);
  if (const Option* servers = section.find("dns"))
    for (const Value& value : servers->values)
      if (const auto address = parseAddress(value)) wan.dns.push_back(*address);
  quality(section, wan);
  tracking(section, wan);
  config_.wans.push_back(std::move(wan));
}

void Validator::wanDevice(const Section& section, WanConfig& wan) {
  if (const Value* value = section.single("interface")) {
    if (section.find("device") != nullptr) problems_.add(value->line, "interface", "cannot be combined with device");
    if (const auto interface = parseName(*value)) {
      once(wanInterfaces_, *interface, value->line, "interface", "a WAN with interface " + quoted(*interface));
      wan.interface = *interface;
    }
    return;
  }
  const Value* value = section.single("device");
  const auto device = value == nullptr ? Parsed<IfName>{} : parseIfName(*value);
  if (!device || device->empty()) return;
  once(wanDevices_, *device, value->line, "device", "a WAN with device " + quoted(*device));
  wan.device = *device;
}

void Validator::quality(const Section& section, WanConfig& wan) {
  const Reader reader{section};
  reader.get("check_quality", wan.checkQuality);
  reader.get("failure_latency", wan.failureLatency);
  reader.get("recovery_latency", wan.recoveryLatency);
  reader.get("failure_loss", wan.failureLoss);
  reader.get("recovery_loss", wan.recoveryLoss);
  // What makes a WAN come back must not be what makes it fail: it would never rest.
  const auto ordered = [&](std::uint32_t recovery, std::uint32_t failure, std::string_view what) {
    if (recovery < failure) return;
    const Option* option = section.find("recovery_" + std::string{what});
    if (option == nullptr) option = section.find("failure_" + std::string{what});
    problems_.add(option == nullptr ? section.line : option->line, "recovery_" + std::string{what},
                  std::to_string(recovery) + " must be less than failure_" + std::string{what} + ", which is " +
                      std::to_string(failure));
  };
  ordered(wan.recoveryLatency, wan.failureLatency, "latency");
  ordered(wan.recoveryLoss, wan.failureLoss, "loss");
}

void Validator::tracking(const Section& section, WanConfig& wan) {
  const Option* addresses = section.find("track_ip");
  // Addresses are named in order to be probed.
  if (addresses != nullptr) wan.trackMethod = TrackMethod::icmp;
  Reader{section}.get(
      "track_method", wan.trackMethod,
      std::array{TrackMethod::none, TrackMethod::icmp, TrackMethod::dns, TrackMethod::tcp, TrackMethod::mwan3});
  if (addresses == nullptr) {
    if (wan.trackMethod == TrackMethod::icmp || wan.trackMethod == TrackMethod::dns ||
        wan.trackMethod == TrackMethod::tcp)
      problems_.add(section.line, "track_ip", "missing: this track_method needs at least one address");
    return;
  }
  const bool portAllowed = wan.trackMethod == TrackMethod::tcp || wan.trackMethod == TrackMethod::dns;
  for (const Value& value : addresses->values) {
    const auto address = parseTrackIp(value);
    if (!address) continue;
    if (!portAllowed && !Address::parse(*address))
      problems_.add(value.line, "track_ip", quoted(*address) + " has a port, which only tcp and dns use");
    wan.trackIp.push_back(*address);
  }
  const Option* reliability = section.find("reliability");
  if (reliability != nullptr && !wan.trackIp.empty() && wan.reliability > wan.trackIp.size())
    problems_.add(reliability->line, "reliability",
                  std::to_string(wan.reliability) + " addresses can never answer: track_ip has " +
                      std::to_string(wan.trackIp.size()));
}

void Validator::tunnel(const Section& section) {
  TunnelConfig tunnel;
  if (const auto [name, line] = nameOf(section); !name.empty()) {
    once(tunnels_, name, line, "interface", "tunnel " + quoted(name));
    if (const auto wan = wanDevices_.find(name); wan != wanDevices_.end())
      problems_.add(line, "interface",
                    quoted(name) + " is the device of the WAN" + inLine(wan->second) + "; a tunnel cannot be a WAN");
    tunnel.interface = name;
  }
  if (auto policy = policies_.of(section)) tunnel.policy = std::move(*policy);
  const Reader reader{section};
  reader.get("role", tunnel.role, std::array{Role::automatic, Role::client, Role::server});
  reader.get("stall", tunnel.stall);
  reader.get("hold", tunnel.hold);
  reader.get("enabled", tunnel.enabled);
  reader.get("update_endpoint", tunnel.updateEndpoint);
  reader.get("balance", tunnel.balance);
  if (tunnel.balance && tunnel.role == Role::server)
    problems_.add(section.find("balance")->line, "balance",
                  "is not for servers: their replies leave by the WAN on which the request came in");
  config_.tunnels.push_back(std::move(tunnel));
}

void Validator::peer(const Section& section) {
  PeerConfig peer;
  const Reader reader{section};
  if (const Value* value = reader.single("tunnel"))
    if (const auto name = parseIfName(*value)) {
      if (const auto wan = wanDevices_.find(*name); wan != wanDevices_.end())
        problems_.add(value->line, "tunnel",
                      quoted(*name) + " is the device of the WAN" + inLine(wan->second) + "; a tunnel cannot be a WAN");
      peer.tunnel = *name;
    }
  if (const Value* value = reader.single("public_key"))
    if (const auto key = parsePublicKey(*value)) {
      once(peers_, peer.tunnel + '/' + key->toString(), value->line, "public_key", "this peer of the tunnel");
      peer.publicKey = *key;
    }
  if (const Value* value = reader.single("endpoint"))
    if (const auto endpoint = parseEndpoint(*value)) peer.endpoint = *endpoint;
  peer.policy = policies_.of(section);
  config_.peers.push_back(std::move(peer));
}

void Validator::checkMarks() {
  if (!goodMask_) return;
  const std::size_t wans = std::max<std::size_t>(config_.wans.size(), 1);
  const std::size_t composite = policies_.composite();
  const std::size_t needed = wans + 1 + composite;
  const unsigned available = config_.numbers.slotCount();
  if (needed <= available) return;
  problems_.add(maskLine_, "mark_mask",
                hex(config_.numbers.markMask) + " has " + std::to_string(available) + " marks, but " +
                    std::to_string(needed) + " are needed (WANs: " + std::to_string(wans) +
                    ", policies of more than one WAN: " + std::to_string(composite) + ", default policy: 1); widen it");
}

}  // namespace

Config validate(const Sections& sections, Problems& problems) {
  checkSections(sections, problems);
  return Validator{problems}.run(sections);
}

}  // namespace wgsteer::config
