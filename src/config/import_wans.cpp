// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/import_wans.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "config/schema.hpp"
#include "config/text.hpp"
#include "config/values.hpp"

namespace wgsteer::config {

namespace {

Option single(std::string name, std::string text, unsigned line) {
  return {
      .name = std::move(name), .values = {{ValueType::untyped, std::move(text), line}}, .list = false, .line = line};
}

/// Where mwan3 prefers it: the lowest metric that any member gives it.
std::uint32_t rankOf(const Mwan3& mwan3, const Mwan3Interface& interface) {
  std::uint32_t best = std::numeric_limits<std::uint32_t>::max();
  for (const Mwan3Member& member : mwan3.members)
    if (member.interface == interface.name) best = std::min(best, member.metric);
  return best;
}

bool isSibling(const std::string& name, const std::string& other) {
  return std::ranges::any_of(kIpv6Suffixes,
                             [&](std::string_view suffix) { return name == other + std::string{suffix}; });
}

class WanImporter {
 public:
  WanImporter(const Mwan3& mwan3, const Network& network, WanBy by, Problems& notes)
      : mwan3_(mwan3), network_(network), by_(by), notes_(notes), devices_(devicesOf(network)) {}

  ImportedWans run() {
    std::vector<const Mwan3Interface*> usable;
    for (const Mwan3Interface& interface : mwan3_.interfaces)
      if (mayBeWan(interface)) usable.push_back(&interface);
    // IPv4 first: an IPv6 interface of the same device joins it.
    std::ranges::stable_sort(usable, {}, &Mwan3Interface::ipv6);
    std::vector<const Mwan3Interface*> leaders;
    for (const Mwan3Interface* interface : usable) {
      const auto other = std::ranges::find_if(leaders, [&](const auto* each) { return sameDevice(*interface, *each); });
      const bool joins = other != leaders.end();
      wans_.names.emplace(interface->name, joins ? (*other)->name : interface->name);
      if (!joins) leaders.push_back(interface);
    }
    std::ranges::stable_sort(leaders, {}, [this](const auto* each) { return rankOf(mwan3_, *each); });
    for (const Mwan3Interface* leader : leaders) wans_.sections.push_back(wanOf(*leader));
    return std::move(wans_);
  }

 private:
  bool mayBeWan(const Mwan3Interface& interface) {
    if (!interface.enabled) return false;
    if (!parseName({ValueType::text, interface.name, 0})) {
      notes_.add(interface.line, {}, "interface without a usable name, not taken over");
      return false;
    }
    const NetifdInterface* known = network_.find(interface.name);
    if (known != nullptr && known->isTunnel()) {
      notes_.add(interface.line, {},
                 "interface " + quoted(interface.name) + " is WireGuard: a tunnel is never a WAN, not taken over");
      return false;
    }
    return true;
  }

  std::string deviceOf(const Mwan3Interface& interface) const {
    const auto known = devices_.find(interface.name);
    return known == devices_.end() ? std::string{} : known->second;
  }

  bool sameDevice(const Mwan3Interface& interface, const Mwan3Interface& other) const {
    if (interface.ipv6 && isSibling(interface.name, other.name)) return true;
    const std::string device = deviceOf(interface);
    return !device.empty() && device == deviceOf(other);
  }

  Section wanOf(const Mwan3Interface& interface) {
    Section wan{.type = "wan", .name = interface.name, .line = 0, .options = {}};
    const std::string device = deviceOf(interface);
    if (by_ == WanBy::device && !device.empty())
      wan.options.push_back(single("device", device, 0));
    else
      wan.options.push_back(single("interface", interface.name, 0));
    tracking(interface, wan);
    return wan;
  }

  void tracking(const Mwan3Interface& leader, Section& wan) {
    Option addresses{.name = "track_ip", .values = {}, .list = true, .line = 0};
    for (const Mwan3Interface& interface : mwan3_.interfaces) {
      const auto wanName = wans_.names.find(interface.name);
      if (wanName == wans_.names.end() || wanName->second != leader.name) continue;
      for (const Option& option : interface.options)
        if (option.name == "track_ip") addAddresses(option, addresses);
    }
    if (addresses.values.empty()) return;
    const auto count = addresses.values.size();
    wan.options.push_back(std::move(addresses));
    for (const Option& option : leader.options) addOption(option, count, wan);
  }

  void addAddresses(const Option& option, Option& to) {
    for (const Value& value : option.values)
      if (parseTrackIp(value))
        to.values.push_back({ValueType::untyped, value.text, value.line});
      else
        notes_.add(value.line, "track_ip", quoted(value.text) + " is not an address, not taken over");
  }

  void addOption(const Option& option, std::size_t addresses, Section& wan) {
    if (option.name == "track_method") return addMethod(option, wan);
    // What of mwan3's options is ours as well, and has the same meaning.
    constexpr std::array<std::string_view, 16> kShared{"reliability",
                                                       "count",
                                                       "timeout",
                                                       "interval",
                                                       "down",
                                                       "up",
                                                       "size",
                                                       "max_ttl",
                                                       "failure_interval",
                                                       "recovery_interval",
                                                       "keep_failure_interval",
                                                       "check_quality",
                                                       "failure_latency",
                                                       "recovery_latency",
                                                       "failure_loss",
                                                       "recovery_loss"};
    const bool shared = std::ranges::find(kShared, option.name) != kShared.end();
    if (!shared || findSection("wan")->find(option.name) == nullptr) return;
    Problems wrong;
    checkSections({{.type = "globals", .name = {}, .line = 0, .options = {}},
                   {.type = "wan", .name = "x", .line = 0, .options = {single("device", "x", 0), option}}},
                  wrong);
    if (!wrong.empty()) return notes_.add(option.line, option.name, "has a value that is not taken over");
    if (option.name == "reliability") {
      const auto wanted = parseInteger(option.values.front(), 1, 100);
      if (wanted && *wanted > static_cast<std::int64_t>(addresses))
        return notes_.add(option.line, option.name,
                          "is more than there are addresses to answer: mwan3 never finds the interface online");
    }
    wan.options.push_back(option);
  }

  void addMethod(const Option& option, Section& wan) {
    const std::string method = option.list ? std::string{} : option.values.front().text;
    if (method == "ping") return;
    if (method == "nslookup")
      wan.options.push_back(single("track_method", "dns", option.line));
    else
      notes_.add(option.line, "track_method", quoted(method) + " is not known here, icmp is used");
  }

  const Mwan3& mwan3_;
  const Network& network_;
  WanBy by_;
  Problems& notes_;
  Interfaces devices_;
  ImportedWans wans_;
};

}  // namespace

ImportedWans importWans(const Mwan3& mwan3, const Network& network, WanBy by, Problems& notes) {
  return WanImporter{mwan3, network, by, notes}.run();
}

}  // namespace wgsteer::config
