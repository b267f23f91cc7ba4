// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/mwan3_rules.hpp"

#include "config/text.hpp"
#include "foreign/iptables_text.hpp"
#include "foreign/mwan3_families.hpp"

namespace wgsteer::foreign {

namespace {

constexpr const char* kNever = ": mwan3 never installed this rule";

bool hasBlank(std::string_view text) { return trimmed(text).find_first_of(" \t\n") != std::string_view::npos; }

class Judge {
 public:
  Judge(const Mwan3Rule& rule, const Mwan3& mwan3, const Network& network, config::Problems& notes)
      : rule_(rule), mwan3_(mwan3), network_(network), notes_(notes), families_(familiesOf(rule)) {}

  bool run() {
    // What mwan3 itself omits never reaches iptables.
    const bool leftOut = name() | policyMissing() | sourceMissing() | familyMissing();
    if (leftOut) return false;
    policy();
    protocol();
    addresses("src_ip", rule_.srcIp);
    addresses("dest_ip", rule_.destIp);
    ports("src_port", rule_.srcPort);
    ports("dest_port", rule_.destPort);
    others();
    return true;
  }

 private:
  void note(std::string_view option, const std::string& what) {
    notes_.add(rule_.line, std::string{option}, called(rule_) + ": " + what);
  }
  void losesAll(std::string_view option, const std::string& why, const std::vector<Family>& families) {
    std::string names;
    for (const Family family : families) names += (names.empty() ? "" : " and ") + std::string{nameOf(family)};
    note(option, why + ": iptables rejects it, and mwan3 then installs no rule of that family at all (" + names + ")");
  }
  void losesAll(std::string_view option, const std::string& why) { losesAll(option, why, families_); }

  bool name() {
    if (rule_.name.size() <= kMaxMwan3Name) return false;
    note("", "mwan3 never installed this rule: its name has " + std::to_string(rule_.name.size()) +
                 " characters; at most " + std::to_string(kMaxMwan3Name));
    return true;
  }

  bool policyMissing() {
    if (rule_.policy.empty()) note("use_policy", "mwan3 never installed this rule: it has no use_policy");
    return rule_.policy.empty();
  }

  bool sourceMissing();
  bool familyMissing();

  void policy() {
    if (rule_.policy.size() > kMaxMwan3Name)
      losesAll("use_policy", "policy " + config::inQuotes(rule_.policy) + " has more than " +
                                 std::to_string(kMaxMwan3Name) + " characters");
    else if (hasBlank(rule_.policy))
      losesAll("use_policy", "policy " + config::inQuotes(rule_.policy) + " contains spaces");
    else if (!mwan3_.knowsPolicy(rule_.policy))
      note("use_policy",
           "policy " + config::inQuotes(rule_.policy) + " is not defined: in mwan3 the rule matches and does nothing");
  }

  void protocol() {
    if (hasBlank(rule_.proto)) return losesAll("proto", "names two protocols");
    if (!iptablesProtocol(rule_.proto)) return losesAll("proto", config::inQuotes(rule_.proto) + " is not a protocol");
    if (!hasPorts(rule_) && !(rule_.srcPort.empty() && rule_.destPort.empty()))
      note("proto", config::inQuotes(rule_.proto) +
                        " is not udp or tcp in lower case: mwan3 ignores the ports, so the rule applies to all");
  }

  void addresses(std::string_view option, const std::string& text);
  void ports(std::string_view option, const std::string& text);

  void others() {
    if (rule_.family != "any" && rule_.family != "ipv4" && rule_.family != "ipv6")
      note("family", config::inQuotes(rule_.family) + " is neither ipv4 nor ipv6: the rule applies to both");
    if (rule_.disabled) note("enabled", "mwan3 ignores this option; the rule is active");
    if (rule_.sticky != "0" && rule_.sticky != "1")
      note("sticky", config::inQuotes(rule_.sticky) + " is not 1: the rule is not sticky");
    if (!rule_.ipset.empty())
      note("ipset", "unless the set " + config::inQuotes(rule_.ipset) +
                        " exists when mwan3 starts, it installs no rule of that family");
  }

  /// mwan3 drops the ports of other protocols before iptables sees them.
  static bool hasPorts(const Mwan3Rule& rule) { return rule.proto == "udp" || rule.proto == "tcp"; }

  const Mwan3Rule& rule_;
  const Mwan3& mwan3_;
  const Network& network_;
  config::Problems& notes_;
  std::vector<Family> families_;  ///< in which mwan3 passes it to iptables
};

bool Judge::sourceMissing() {
  if (rule_.srcIface.empty() || network_.interfaces.empty()) return false;
  // netifd creates wan_4 and wan_6 for a wan.
  std::string_view name = rule_.srcIface;
  if (network_.find(name) == nullptr && (name.ends_with("_4") || name.ends_with("_6"))) name.remove_suffix(2);
  const NetifdInterface* interface = network_.find(name);
  if (interface != nullptr && !interface->disabled) return false;
  note("src_iface", config::inQuotes(rule_.srcIface) + " is not an interface in the network configuration" + kNever);
  return true;
}

bool Judge::familyMissing() {
  if (!families_.empty()) return false;
  bool said = false;
  for (const auto& [option, text] : {std::pair{"src_ip", &rule_.srcIp}, std::pair{"dest_ip", &rule_.destIp}}) {
    const bool v4 = hasIPv4(*text);
    const bool v6 = hasIPv6(*text);
    const bool list = text->find(',') != std::string::npos;
    if (v4 && v6 && !list)
      note(option, config::inQuotes(*text) + " is IPv4 in IPv6 notation, which mwan3 recognises as neither" + kNever);
    else if (v4 && v6)
      note(option, "has addresses of both families: mwan3 installs it for neither");
    else if ((rule_.family == "ipv6" && v4) || (rule_.family == "ipv4" && v6))
      note(option, "is not of the rule's family " + rule_.family + kNever);
    else
      continue;
    said = true;
  }
  if (!said) note("src_ip", std::string{"is not of the family of dest_ip"} + kNever);
  return true;
}

void Judge::addresses(std::string_view option, const std::string& text) {
  if (trimmed(text).empty()) return;
  if (hasBlank(text)) return losesAll(option, "has spaces between addresses; iptables expects commas");
  std::string why;
  std::vector<Family> lost;
  std::vector<std::string> names;
  for (const Family family : families_) {
    AddressList list = iptablesAddresses(trimmed(text), family);
    if (!list.wrong.empty()) {
      if (why.empty()) why = list.wrong;
      lost.push_back(family);
    } else {
      names = std::move(list.names);
    }
  }
  if (!lost.empty()) losesAll(option, why, lost);
  for (const std::string& name : names)
    note(option, config::inQuotes(name) +
                     " is not an address: a name is resolved once, while the rules are loaded; if it has no address of "
                     "a family, or no server answers, mwan3 installs no rule of that family at all");
}

void Judge::ports(std::string_view option, const std::string& text) {
  if (trimmed(text).empty() || !hasPorts(rule_)) return;
  if (hasBlank(text)) return losesAll(option, "has spaces between ports; iptables expects commas");
  const PortList list = iptablesPorts(trimmed(text));
  if (!list.wrong.empty()) return losesAll(option, list.wrong);
  for (const std::string& name : list.names)
    note(option, config::inQuotes(name) + " is a name, not a port: unless the router's /etc/services has it for " +
                     rule_.proto + ", iptables refuses it, and mwan3 installs no rule of the family at all");
}

}  // namespace

bool judge(const Mwan3Rule& rule, const Mwan3& mwan3, const Network& network, config::Problems& notes) {
  return Judge{rule, mwan3, network, notes}.run();
}

std::string called(const Mwan3Rule& rule) { return rule.name.empty() ? "rule" : "rule " + config::inQuotes(rule.name); }

}  // namespace wgsteer::foreign
