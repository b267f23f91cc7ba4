// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/import_wans.hpp"

#include <algorithm>
#include <limits>

#include "config/schema.hpp"
#include "config/text.hpp"
#include "config/values.hpp"

namespace wgsteer::foreign {

namespace {

config::Option single(std::string name, std::string text, unsigned line) {
  return {.name = std::move(name),
          .values = {{config::ValueType::untyped, std::move(text), line}},
          .list = false,
          .line = line};
}

/// mwan3's preference for it: the lowest metric that any member gives it.
std::int64_t rankOf(const Mwan3& mwan3, const Mwan3Interface& interface) {
  std::int64_t best = std::numeric_limits<std::int64_t>::max();
  for (const Mwan3Member& member : mwan3.members)
    if (member.interface == interface.name && member.metric) best = std::min(best, *member.metric);
  return best;
}

bool isSibling(const std::string& name, const std::string& other) {
  return std::ranges::any_of(kIpv6Suffixes,
                             [&](std::string_view suffix) { return name == other + std::string{suffix}; });
}

class WanImporter {
 public:
  WanImporter(const Mwan3& mwan3, const Network& network, WanBy by, config::Problems& notes)
      : mwan3_(mwan3), network_(network), by_(by), notes_(notes), devices_(devicesOf(network)) {}

  ImportedWans run() {
    std::vector<const Mwan3Interface*> usable;
    for (const Mwan3Interface& interface : mwan3_.interfaces)
      if (mayBeWan(interface)) usable.push_back(&interface);
    // IPv4 first: an IPv6 interface of the same device joins it.
    std::ranges::stable_sort(usable, {}, [this](const auto* each) { return isIPv6(*each); });
    for (const Mwan3Interface* interface : usable) place(*interface);
    std::ranges::stable_sort(lines_, {}, [this](const Line& line) { return rankOf(mwan3_, *line.leader); });
    for (const Line& line : lines_) wans_.sections.push_back(wanOf(*line.leader));
    return std::move(wans_);
  }

 private:
  /// The interfaces that become one WAN.
  struct Line {
    const Mwan3Interface* leader = nullptr;
    bool hasIPv6 = false;
  };

  void place(const Mwan3Interface& interface) {
    const bool ipv6 = isIPv6(interface);
    auto line = std::ranges::find_if(
        lines_, [&](const Line& each) { return ipv6 && isSibling(interface.name, each.leader->name); });
    if (line == lines_.end())
      line = std::ranges::find_if(lines_, [&](const Line& each) { return sameDevice(interface, *each.leader); });
    if (line == lines_.end()) {
      wans_.names.emplace(interface.name, interface.name);
      lines_.push_back({&interface, ipv6});
      return;
    }
    if (!ipv6 && isByAnotherGateway(interface)) {
      wans_.names.emplace(interface.name, interface.name);
      lines_.push_back({&interface, false});
      return;
    }
    // Nothing tells two gateways behind one device apart.
    if (!ipv6 || line->hasIPv6)
      return notes_.add(interface.line, {},
                        "interface " + config::inQuotes(interface.name) + " cannot be distinguished from " +
                            config::inQuotes(line->leader->name) +
                            ", which is on the same device, by a gateway: not converted, nor is its tracking");
    line->hasIPv6 = true;
    wans_.names.emplace(interface.name, line->leader->name);
  }

  /// Of a static interface; empty if there is none.
  std::string gatewayOf(const Mwan3Interface& interface) const {
    const NetifdInterface* known = network_.find(interface.name);
    if (known == nullptr || known->proto != "static") return {};
    return config::parseGateway({config::ValueType::untyped, known->gateway, 0}) ? known->gateway : std::string{};
  }

  /// Than the WANs that are on its device already; one of them may be by whatever the others are not.
  bool isByAnotherGateway(const Mwan3Interface& interface) const {
    return std::ranges::none_of(lines_, [&](const Line& each) {
      return sameDevice(interface, *each.leader) && gatewayOf(*each.leader) == gatewayOf(interface);
    });
  }

  bool sharesItsDevice(const Mwan3Interface& interface) const {
    return std::ranges::any_of(
        lines_, [&](const Line& each) { return each.leader != &interface && sameDevice(interface, *each.leader); });
  }

  /// According to mwan3's configuration or netifd's protocol: DHCPv6 provides only IPv6.
  bool isIPv6(const Mwan3Interface& interface) const {
    const NetifdInterface* known = network_.find(interface.name);
    return interface.ipv6 || (known != nullptr && known->proto == "dhcpv6");
  }

  bool mayBeWan(const Mwan3Interface& interface) {
    if (!interface.enabled) return false;
    if (!config::parseName({config::ValueType::text, interface.name, 0})) {
      notes_.add(interface.line, {}, "interface without a usable name; not converted");
      return false;
    }
    const NetifdInterface* known = network_.find(interface.name);
    if (known != nullptr && known->isTunnel()) {
      notes_.add(interface.line, {},
                 "interface " + config::inQuotes(interface.name) +
                     " is WireGuard, and a tunnel cannot be a WAN; not converted");
      return false;
    }
    return true;
  }

  std::string deviceOf(const Mwan3Interface& interface) const {
    const auto known = devices_.find(interface.name);
    return known == devices_.end() ? std::string{} : known->second;
  }

  bool sameDevice(const Mwan3Interface& interface, const Mwan3Interface& other) const {
    if (isIPv6(interface) && isSibling(interface.name, other.name)) return true;
    const std::string device = deviceOf(interface);
    return !device.empty() && device == deviceOf(other);
  }

  config::Section wanOf(const Mwan3Interface& interface) {
    config::Section wan{.type = "wan", .name = interface.name, .line = 0, .options = {}};
    const std::string device = deviceOf(interface);
    if (by_ == WanBy::device && !device.empty())
      wan.options.push_back(single("device", device, 0));
    else
      wan.options.push_back(single("interface", interface.name, 0));
    if (const std::string gateway = gatewayOf(interface); !gateway.empty() && sharesItsDevice(interface))
      wan.options.push_back(single("gateway", gateway, 0));
    if (const Mwan3Interface* first = firstOnItsDevice(interface); first != nullptr)
      leaveOutTracking(interface, *first);
    else
      tracking(interface, wan);
    return wan;
  }

  /// The WAN that was on this device before; null if none was.
  const Mwan3Interface* firstOnItsDevice(const Mwan3Interface& interface) const {
    const auto first =
        std::ranges::find_if(lines_, [&](const Line& each) { return sameDevice(interface, *each.leader); });
    return first == lines_.end() || first->leader == &interface ? nullptr : first->leader;
  }

  /// mwan3track 2.11.16 binds its probes to the device, and marks them to be routed by main: by the first's gateway.
  void leaveOutTracking(const Mwan3Interface& interface, const Mwan3Interface& first) {
    if (std::ranges::find(interface.options, "track_ip", &config::Option::name) == interface.options.end()) return;
    notes_.add(interface.line, {},
               "interface " + config::inQuotes(interface.name) + " is on the device of " +
                   config::inQuotes(first.name) +
                   " and told apart by its gateway; its track_ip is not converted, because mwan3 probes it through the "
                   "gateway of " +
                   config::inQuotes(first.name) + ": add what answers through its own");
  }

  void tracking(const Mwan3Interface& leader, config::Section& wan) {
    config::Option addresses{.name = "track_ip", .values = {}, .list = true, .line = 0};
    for (const Mwan3Interface& interface : mwan3_.interfaces) {
      const auto wanName = wans_.names.find(interface.name);
      if (wanName == wans_.names.end() || wanName->second != leader.name) continue;
      for (const config::Option& option : interface.options)
        if (option.name == "track_ip")
          addAddresses(option, addresses);
        else if (&interface != &leader)
          leaveOutOther(option, interface, leader);
    }
    if (addresses.values.empty()) return;
    const auto count = addresses.values.size();
    wan.options.push_back(std::move(addresses));
    addShared(leader, count, wan);
  }

  /// A WAN has one set of these for both families.
  void leaveOutOther(const config::Option& option, const Mwan3Interface& interface, const Mwan3Interface& leader) {
    const config::OptionSchema* schema = config::findSection("wan")->find(option.name);
    if (schema == nullptr || !schema->traits.mwan3) return;
    const auto text = [](const config::Option& of) {
      return of.values.empty() ? std::string{} : of.values.front().text;
    };
    const auto leaders = std::ranges::find(leader.options, option.name, &config::Option::name);
    if (leaders != leader.options.end() && text(*leaders) == text(option)) return;
    notes_.add(option.line, option.name,
               "of interface " + config::inQuotes(interface.name) + " is not converted: WAN " +
                   config::inQuotes(leader.name) + " has that of interface " + config::inQuotes(leader.name) +
                   " for both families");
  }

  void addAddresses(const config::Option& option, config::Option& to) {
    for (const config::Value& value : option.values)
      if (config::parseTrackIp(value))
        to.values.push_back({config::ValueType::untyped, value.text, value.line});
      else
        notes_.add(value.line, "track_ip", config::inQuotes(value.text) + " is not an address; not converted");
  }

  /// Adds the options of mwan3 that exist here with the same meaning.
  void addShared(const Mwan3Interface& leader, std::size_t addresses, config::Section& wan) {
    WanConfig read;
    config::Problems wrong;
    config::readValues({.type = "wan", .name = {}, .line = leader.line, .options = leader.options}, read, wrong);
    for (const config::Option& option : leader.options) {
      if (option.name == "track_method") addMethod(option, wan);
      const config::OptionSchema* schema = config::findSection("wan")->find(option.name);
      if (schema == nullptr || !schema->traits.mwan3) continue;
      if (wrong.has(option.line, option.name))
        notes_.add(option.line, option.name, "has an invalid value; not converted");
      else if (option.name == "reliability" && read.reliability > addresses)
        notes_.add(option.line, option.name,
                   "exceeds the number of addresses: mwan3 never considers the interface online");
      else
        wan.options.push_back(option);
    }
  }

  void addMethod(const config::Option& option, config::Section& wan) {
    const std::string method = option.list ? std::string{} : option.values.front().text;
    if (method == "ping") return;
    if (method == "nslookup")
      wan.options.push_back(single("track_method", "dns", option.line));
    else
      notes_.add(option.line, "track_method", config::inQuotes(method) + " is not supported, icmp is used instead");
  }

  const Mwan3& mwan3_;
  const Network& network_;
  WanBy by_;
  config::Problems& notes_;
  Interfaces devices_;
  std::vector<Line> lines_;
  ImportedWans wans_;
};

}  // namespace

ImportedWans importWans(const Mwan3& mwan3, const Network& network, WanBy by, config::Problems& notes) {
  return WanImporter{mwan3, network, by, notes}.run();
}

}  // namespace wgsteer::foreign
