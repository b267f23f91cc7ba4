// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/mwan3_rules.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "wgsteer/core/address.hpp"

#include "config/text.hpp"

namespace wgsteer::config {

namespace {

constexpr std::string_view kLosesAll = ": iptables refuses it, and mwan3 installs no rule of the family at all";

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::optional<std::uint16_t> portOf(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

/// "51820", "5000:5010,51820"; nothing else is a port to iptables.
bool coversPort(std::string_view ports, std::uint16_t wanted) {
  return std::ranges::any_of(split(ports, ','), [&](std::string_view part) {
    const auto colon = part.find(':');
    const auto low = portOf(part.substr(0, colon));
    const auto high = colon == std::string_view::npos ? low : portOf(part.substr(colon + 1));
    return low && high && *low <= wanted && wanted <= *high;
  });
}

bool isUdp(const Mwan3Rule& rule) {
  return rule.proto == "all" || rule.proto == "udp" || rule.proto == "UDP" || rule.proto == "17";
}

bool hasBlank(std::string_view text) { return text.find_first_of(" \t\n") != std::string_view::npos; }

class Judge {
 public:
  Judge(const Mwan3Rule& rule, const Mwan3& mwan3, Problems& notes) : rule_(rule), mwan3_(mwan3), notes_(notes) {}

  void run() {
    name();
    policy();
    protocol();
    addresses("src_ip", rule_.srcIp);
    addresses("dest_ip", rule_.destIp);
    ports("src_port", rule_.srcPort);
    ports("dest_port", rule_.destPort);
    others();
  }

 private:
  void note(std::string_view option, const std::string& what) {
    notes_.add(rule_.line, std::string{option}, called(rule_) + ": " + what);
  }

  void name() {
    if (rule_.name.size() > kMaxMwan3Name)
      note("", "mwan3 never installed this rule: its name has " + std::to_string(rule_.name.size()) +
                   " characters, at most " + std::to_string(kMaxMwan3Name));
  }

  void policy() {
    if (rule_.policy.empty()) return note("use_policy", "mwan3 never installed this rule: it has no use_policy");
    const bool keyword = rule_.policy == "default" || rule_.policy == "unreachable" || rule_.policy == "blackhole";
    if (rule_.policy.size() > kMaxMwan3Name)
      note("use_policy", "policy " + quoted(rule_.policy) + " has more than " + std::to_string(kMaxMwan3Name) +
                             " characters" + std::string{kLosesAll});
    else if (!keyword && mwan3_.policy(rule_.policy) == nullptr)
      note("use_policy",
           "policy " + quoted(rule_.policy) + " is not defined: in mwan3 the rule matches and does nothing");
  }

  void protocol() {
    if (hasBlank(rule_.proto)) return note("proto", "names two protocols" + std::string{kLosesAll});
    const bool hasPorts = !rule_.srcPort.empty() || !rule_.destPort.empty();
    if (hasPorts && rule_.proto != "udp" && rule_.proto != "tcp")
      note("proto",
           quoted(rule_.proto) + " is not udp or tcp in lower case: mwan3 leaves the ports out, the rule is for all");
  }

  void addresses(std::string_view option, const std::string& text) {
    if (text.empty()) return;
    if (hasBlank(text))
      return note(option, "has blanks between addresses, iptables wants commas" + std::string{kLosesAll});
    if (text.starts_with('!')) return note(option, "begins with '!'" + std::string{kLosesAll});
    bool v4 = false;
    bool v6 = false;
    for (const std::string_view part : split(text, ',')) {
      const auto prefix = Prefix::parse(part);
      if (!prefix) {
        note(option, quoted(part) +
                         " is no address: a name is resolved once, while the rules are loaded; if that fails, "
                         "mwan3 installs no rule of the family at all");
        continue;
      }
      (prefix->family() == Family::v4 ? v4 : v6) = true;
    }
    if (v4 && v6) note(option, "has addresses of both families: mwan3 installs it in neither");
    if ((rule_.family == "ipv6" && v4 && !v6) || (rule_.family == "ipv4" && v6 && !v4))
      note(option, "is not of the rule's family " + rule_.family + ": mwan3 never installed this rule");
  }

  void ports(std::string_view option, const std::string& text) {
    constexpr std::size_t kMaxSlots = 15;
    if (text.empty()) return;
    std::size_t slots = 0;
    for (const std::string_view part : split(text, ',')) {
      slots += part.find(':') == std::string_view::npos ? 1U : 2U;
      if (part.find('-') != std::string_view::npos)
        return note(option,
                    quoted(part) + " is no range to iptables, which writes it with ':'" + std::string{kLosesAll});
    }
    if (slots > kMaxSlots) note(option, "has more than 15 ports, a range counts twice" + std::string{kLosesAll});
    if (hasBlank(text)) note(option, "has blanks between ports, iptables wants commas" + std::string{kLosesAll});
  }

  void others() {
    if (rule_.family != "any" && rule_.family != "ipv4" && rule_.family != "ipv6")
      note("family", quoted(rule_.family) + " is neither ipv4 nor ipv6: the rule is for both");
    if (rule_.disabled) note("enabled", "mwan3 does not read this option, the rule is in force");
    if (rule_.sticky != "0" && rule_.sticky != "1")
      note("sticky", quoted(rule_.sticky) + " is not 1: the rule is not sticky");
    if (!rule_.ipset.empty())
      note("ipset",
           "unless the set " + quoted(rule_.ipset) + " exists when mwan3 starts, no rule of the family is installed");
  }

  const Mwan3Rule& rule_;
  const Mwan3& mwan3_;
  Problems& notes_;
};

/// Long enough to be about one host or its like: nobody's rule for the rest of the world.
bool isNarrow(const Prefix& prefix) { return prefix.length() >= (prefix.family() == Family::v4 ? 16 : 32); }

}  // namespace

void judge(const Mwan3Rule& rule, const Mwan3& mwan3, Problems& notes) { Judge{rule, mwan3, notes}.run(); }

std::string called(const Mwan3Rule& rule) { return rule.name.empty() ? "rule" : "rule " + quoted(rule.name); }

bool isForEndpoint(const Mwan3Rule& rule, const NetifdPeer& peer) {
  if (!isUdp(rule) || peer.endpointHost.empty()) return false;
  const auto port = portOf(peer.endpointPort);
  if (!rule.destPort.empty() && (!port || !coversPort(rule.destPort, *port))) return false;
  const auto address = Address::parse(peer.endpointHost);
  bool narrow = false;
  for (const std::string_view part : split(rule.destIp, ',')) {
    const auto prefix = Prefix::parse(part);
    if (!prefix && part == peer.endpointHost) return true;
    if (!prefix || !isNarrow(*prefix)) continue;
    if (address && prefix->contains(*address)) return true;
    narrow = true;
  }
  // The port is named, and whether the address is the host name's nobody can tell without DNS: who writes both means
  // it.
  if (narrow) return !address && !rule.destPort.empty();
  const bool anywhere = rule.destIp.empty() || rule.destIp == "0.0.0.0/0" || rule.destIp == "::/0";
  return anywhere && !rule.destPort.empty() && rule.proto != "all";
}

bool isForAnswers(const Mwan3Rule& rule, const NetifdInterface& tunnel) {
  const auto port = portOf(tunnel.listenPort);
  return isUdp(rule) && port && !rule.srcPort.empty() && coversPort(rule.srcPort, *port);
}

}  // namespace wgsteer::config
