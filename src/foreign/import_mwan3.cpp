// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/import_mwan3.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <vector>

#include "wgsteer/core/numbers.hpp"

#include "config/policies.hpp"
#include "config/text.hpp"
#include "config/validate.hpp"
#include "config/values.hpp"
#include "foreign/import_pins.hpp"
#include "foreign/import_policies.hpp"
#include "foreign/import_wans.hpp"
#include "foreign/mwan3_rules.hpp"

namespace wgsteer::foreign {

namespace {

config::Option single(std::string name, std::string text) {
  return {
      .name = std::move(name), .values = {{config::ValueType::untyped, std::move(text), 0}}, .list = false, .line = 0};
}

class Importer {
 public:
  Importer(const Mwan3& mwan3, const Network& network, WanBy by, config::Problems notes)
      : mwan3_(mwan3), network_(network) {
    import_.notes = std::move(notes);
    wans_ = importWans(mwan3, network, by, import_.notes);
  }

  Import run() {
    pin();
    for (const NetifdInterface& tunnel : network_.interfaces)
      if (tunnel.isTunnel()) tunnelSections(tunnel);
    lookAtNetwork();
    widenMask();
    std::ranges::move(wans_.sections, std::back_inserter(import_.sections));
    std::ranges::move(policies_, std::back_inserter(import_.sections));
    std::ranges::move(tunnels_, std::back_inserter(import_.sections));
    std::ranges::move(peers_, std::back_inserter(import_.sections));
    return std::move(import_);
  }

 private:
  void note(const Mwan3Rule& rule, const std::string& what) {
    import_.notes.add(rule.line, {}, called(rule) + ": " + what);
  }

  void pin();
  /// Our policy for one of mwan3's; empty: the default one has to be used.
  std::string policyFor(const Mwan3Rule& rule);
  /// The name that it gets, which is usually the same; empty: it could not be converted.
  std::string definePolicy(const Mwan3Policy& policy);
  void tunnelSections(const NetifdInterface& tunnel);
  void peerSection(const NetifdInterface& tunnel, const NetifdPeer& peer, const std::string& policy);
  void lookAtNetwork();
  void widenMask();

  const Mwan3& mwan3_;
  const Network& network_;
  Import import_;
  ImportedWans wans_;
  Pins pins_;
  std::map<const Mwan3Rule*, std::string> policyOf_;  ///< what policyFor() returned for the rules that decide
  std::map<std::string, std::string> defined_;        ///< what definePolicy() returned for mwan3's policies
  config::Sections policies_;
  config::Sections tunnels_;
  config::Sections peers_;
  std::set<std::pair<std::string, PublicKey>> peersTold_;  ///< by the name of their tunnel
};

void Importer::pin() {
  std::vector<JudgedRule> judged;
  for (const Mwan3Rule& rule : mwan3_.rules)
    judged.push_back({.rule = &rule, .installed = judge(rule, mwan3_, network_, import_.notes)});
  pins_ = pinsOf(judged, mwan3_, network_, import_.notes);
  import_.pinned = pins_.rules;
  for (const Mwan3Rule& rule : mwan3_.rules)
    if (std::ranges::find(pins_.pins, &rule, &Pin::rule) != pins_.pins.end()) policyOf_.emplace(&rule, policyFor(rule));
}

std::string Importer::policyFor(const Mwan3Rule& rule) {
  if (rule.policy == "default") {
    note(rule, "policy default is the main table, which causes the loop; all WANs are used instead, by their metrics");
    return {};
  }
  if (rule.policy == "unreachable" || rule.policy == "blackhole") {
    note(rule, "policy " + rule.policy + " would block WireGuard; all WANs are used instead, by their metrics");
    return {};
  }
  const Mwan3Policy* policy = mwan3_.policy(rule.policy);
  if (policy == nullptr) return {};
  const auto [known, fresh] = defined_.emplace(policy->name, std::string{});
  if (fresh) known->second = definePolicy(*policy);
  return known->second;
}

std::string Importer::definePolicy(const Mwan3Policy& policy) {
  const auto members = importMembers(policy, mwan3_, wans_.names, import_.notes);
  if (members.empty()) {
    import_.notes.add(
        policy.line, "use_member",
        "policy " + config::inQuotes(policy.name) + " has no member that is a WAN; all WANs are used instead");
    return {};
  }
  std::string name = policy.name;
  while (config::ruleUseOf(name) || (name != policy.name && mwan3_.policy(name) != nullptr)) name += '_';
  config::Section section{.type = "policy", .name = name, .line = 0, .options = {}};
  config::Option list{.name = "use_wan", .values = {}, .list = true, .line = 0};
  for (const std::string& member : members) list.values.push_back({config::ValueType::untyped, member, 0});
  section.options.push_back(std::move(list));
  if (policy.lastResort == "default") section.options.push_back(single("last_resort", "main"));
  policies_.push_back(std::move(section));
  return name;
}

void Importer::tunnelSections(const NetifdInterface& tunnel) {
  if (!config::parseIfName({config::ValueType::text, tunnel.name, 0})) return;
  /// Null: no rule decides.
  const auto policyOf = [&](const NetifdPeer* peer) -> const std::string* {
    const Mwan3Rule* rule = pins_.of(tunnel, peer);
    return rule == nullptr ? nullptr : &policyOf_.at(rule);
  };
  const std::string* whole = policyOf(nullptr);
  // One policy for all peers becomes the tunnel's: then its fwmark suffices, and nothing has to be done per peer.
  if (whole == nullptr && !tunnel.peers.empty()) {
    const std::string* first = policyOf(&tunnel.peers.front());
    const bool same = first != nullptr && std::ranges::all_of(tunnel.peers, [&](const NetifdPeer& peer) {
                        const std::string* own = policyOf(&peer);
                        return own != nullptr && *own == *first;
                      });
    if (same) whole = first;
  }
  const std::string ofTunnel = whole == nullptr ? std::string{} : *whole;
  if (!ofTunnel.empty())
    tunnels_.push_back({.type = "tunnel",
                        .name = {},
                        .line = 0,
                        .options = {single("interface", tunnel.name), single("use_policy", ofTunnel)}});
  for (const NetifdPeer& peer : tunnel.peers) {
    if (peer.disabled) continue;
    const std::string* own = policyOf(&peer);
    const std::string ofPeer = own == nullptr ? std::string{} : *own;
    if (ofPeer != ofTunnel) peerSection(tunnel, peer, ofPeer.empty() ? std::string{kDefaultPolicy} : ofPeer);
  }
}

void Importer::peerSection(const NetifdInterface& tunnel, const NetifdPeer& peer, const std::string& policy) {
  const auto key = config::parsePublicKey({config::ValueType::text, peer.publicKey, 0});
  if (!key) {
    import_.networkNotes.add(peer.line, "public_key",
                             "is not a key, so this peer of " + tunnel.name + " cannot be identified");
    return;
  }
  if (!peersTold_.insert({tunnel.name, *key}).second) {
    import_.networkNotes.add(peer.line, "public_key",
                             "this peer of " + tunnel.name + " is defined twice; the first one is used");
    return;
  }
  peers_.push_back(
      {.type = "peer",
       .name = {},
       .line = 0,
       .options = {single("tunnel", tunnel.name), single("public_key", peer.publicKey), single("use_policy", policy)}});
}

void Importer::lookAtNetwork() {
  // 60 with the mask 0x3f00: the number of values of the mask, minus three that mwan3 reserves.
  const unsigned bits = static_cast<unsigned>(std::popcount(mwan3_.mask));
  const std::int64_t lastTable = (std::int64_t{1} << std::min(bits, 8U)) - 4;
  for (const NetifdInterface& interface : network_.interfaces) {
    for (const auto& [option, text] :
         {std::pair{"ip4table", interface.ip4table}, std::pair{"ip6table", interface.ip6table}})
      if (const auto table = config::parseInteger({config::ValueType::untyped, text, 0}, 1, lastTable); table)
        import_.networkNotes.add(interface.line, option,
                                 "table " + text + " of " + interface.name + " is one of mwan3's (1.." +
                                     std::to_string(lastTable) + "), which mwan3 flushes");
    if (!interface.isTunnel() || interface.disabled) continue;
    if (!interface.noHostRoute && std::ranges::any_of(interface.peers, [](const NetifdPeer& peer) {
          return !peer.endpointHost.empty() && !peer.disabled;
        }))
      import_.networkNotes.add(interface.line, "nohostroute",
                               "missing at " + interface.name +
                                   ": netifd pins its endpoints to one WAN for good and takes the tunnel down with it; "
                                   "set option nohostroute '1'");
    if (!interface.fwmark.empty() && interface.fwmark != "0")
      import_.networkNotes.add(interface.line, "fwmark", interface.name + " has its own fwmark, which is kept");
  }
}

/// A mark for each WAN, each policy and the default one: the usual mask has 15.
void Importer::widenMask() {
  if (wans_.sections.size() + policies_.size() + 1 <= Numbers{}.slotCount()) return;
  import_.sections.push_back(
      {.type = "globals", .name = "globals", .line = 0, .options = {single("mark_mask", "0xff000000")}});
  import_.notes.add(0, "mark_mask", "widened to 0xff000000 for the number of WANs and policies");
}

}  // namespace

Import importMwan3(const Mwan3& mwan3, const Network& network, WanBy by, config::Problems notes) {
  return Importer{mwan3, network, by, std::move(notes)}.run();
}

std::vector<WanConfig> wansOf(std::string_view mwan3File, const Network& network) {
  config::Problems ignored;
  const Mwan3 mwan3 = readMwan3(mwan3File, ignored);
  const config::Sections sections = importWans(mwan3, network, WanBy::interface, ignored).sections;
  std::vector<WanConfig> wans = config::validate(sections, ignored).wans;
  // mwan3 probes already, and everything else on this router relies on its verdict.
  for (WanConfig& wan : wans) {
    wan.trackMethod = TrackMethod::mwan3;
    wan.trackIp.clear();
  }
  findIpv6Interfaces(wans, mwan3File, network);
  return wans;
}

void findIpv6Interfaces(std::vector<WanConfig>& wans, std::string_view mwan3File, const Network& network) {
  config::Problems ignored;
  const Mwan3 mwan3 = readMwan3(mwan3File, ignored);
  const auto names = importWans(mwan3, network, WanBy::interface, ignored).names;
  for (WanConfig& wan : wans) {
    if (wan.trackMethod != TrackMethod::mwan3) continue;
    const std::string& own = wan.interface.empty() ? wan.name : wan.interface;
    for (const Mwan3Interface& interface : mwan3.interfaces) {
      const auto joined = names.find(interface.name);
      const bool sameLink = joined != names.end() && joined->second == own && interface.name != own;
      if (sameLink && interface.ipv6 && wan.ipv6Interface.empty()) wan.ipv6Interface = interface.name;
    }
  }
}

}  // namespace wgsteer::foreign
