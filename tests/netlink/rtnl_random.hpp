// SPDX-License-Identifier: GPL-2.0-or-later
// Random routes and rules, all acceptable to the kernel.
#pragma once

#include <random>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/route.hpp"

namespace wgsteer::netlink::test {

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}

  /// 0 .. limit - 1.
  std::uint32_t below(std::uint32_t limit) {
    return std::uniform_int_distribution<std::uint32_t>{0, limit - 1}(engine_);
  }
  bool chance(std::uint32_t oneIn) { return below(oneIn) == 0; }
  std::uint32_t any() { return std::uniform_int_distribution<std::uint32_t>{}(engine_); }

  Family family() { return chance(2) ? Family::v4 : Family::v6; }
  /// A global unicast address.
  Address address(Family family) {
    if (family == Family::v4) return Address::v4(192, 0, 2, static_cast<std::uint8_t>(1 + below(254)));
    return *Address::parse("2001:db8::" + std::to_string(1 + below(9000)));
  }
  Prefix prefix(Family family) { return {address(family), static_cast<std::uint8_t>(1 + below(bitsOf(family)))}; }
  std::optional<Prefix> maybePrefix(Family family) { return chance(3) ? std::optional{prefix(family)} : std::nullopt; }
  TableId table() { return TableId{chance(2) ? 1 + below(250) : kWanTableBase + below(kTableCount)}; }
  std::uint8_t protocol() { return chance(2) ? kProtocol : static_cast<std::uint8_t>(5 + below(200)); }

  NextHop hop(Family family, std::int32_t device) {
    NextHop hop{.device = IfIndex{device}, .gateway = {}, .onlink = false, .weight = 1};
    if (chance(4)) return hop;
    hop.gateway = address(family);
    hop.onlink = true;
    return hop;
  }

  /// As a plan makes them: over the given devices, in our normal form where the kernel allows two.
  Route route(std::span<const std::int32_t> devices) {
    const Family family = this->family();
    Route route;
    route.table = table();
    route.destination = chance(2) ? Prefix::any(family) : prefix(family);
    route.source = family == Family::v6 && chance(3) ? prefix(family) : Prefix::any(family);
    route.metric = chance(4) ? kClosingMetric : kMinMetric + below(1000);
    route.protocol = protocol();
    if (chance(4)) {
      route.type =
          std::array{RouteType::unreachable, RouteType::blackhole, RouteType::prohibit, RouteType::throw_}[below(4)];
      return route;
    }
    route.hops = {hop(family, devices[0])};
    if (route.hops.front().gateway && chance(2)) {
      route.hops.front().weight = static_cast<std::uint16_t>(1 + below(256));
      NextHop second{.device = IfIndex{devices[1]}, .gateway = address(family), .onlink = true, .weight = 256};
      route.hops.push_back(second);
      if (second < route.hops.front()) std::swap(route.hops[0], route.hops[1]);
    }
    route.linkScope = family == Family::v4 && !route.hops.front().gateway;
    return route;
  }

  Rule rule() {
    Rule rule;
    rule.priority = 1 + below(30000);
    rule.family = family();
    rule.invert = chance(5);
    rule.source = maybePrefix(rule.family);
    rule.destination = maybePrefix(rule.family);
    if (chance(5)) rule.inputInterface = "lo";
    if (chance(5)) rule.outputInterface = "a-name-of-15-ch";
    // From 1: a mark and a mask of nothing mean no mark at all.
    if (chance(2)) rule.mark.mask = any() | 1;
    rule.mark.value = any() & rule.mark.mask;
    rule.protocol = protocol();
    if (chance(4)) rule.ipProtocol = 17;
    if (rule.ipProtocol != 0 && chance(2)) rule.sourcePort = ports();
    if (rule.ipProtocol != 0 && chance(2)) rule.destinationPort = ports();
    rule.action = std::array{RuleAction::lookup,    RuleAction::lookup,      RuleAction::goto_,   RuleAction::nop,
                             RuleAction::blackhole, RuleAction::unreachable, RuleAction::prohibit}[below(7)];
    if (rule.action == RuleAction::lookup) {
      rule.table = table();
      if (chance(4)) rule.suppressPrefixLength = static_cast<std::int32_t>(below(33));
    }
    if (rule.action == RuleAction::goto_) rule.gotoPriority = rule.priority + 1 + below(1000);
    return rule;
  }

 private:
  PortRange ports() {
    const auto first = static_cast<std::uint16_t>(1 + below(60000));
    return {first, static_cast<std::uint16_t>(chance(2) ? first : first + below(5000))};
  }

  std::mt19937 engine_;
};

}  // namespace wgsteer::netlink::test
