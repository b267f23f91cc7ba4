// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/rule_mismatch.hpp"

#include <algorithm>

namespace wgsteer {

namespace {

template <class T, class Holds>
bool allows(const Selector<T>& selector, Holds&& holds) {
  return (selector.any.empty() || std::ranges::any_of(selector.any, holds)) &&
         std::ranges::none_of(selector.none, holds);
}

template <class T>
bool allowsValue(const Selector<T>& selector, const T& value) {
  return allows(selector, [&](const T& each) { return each == value; });
}

bool allowsAddress(const Selector<Prefix>& selector, const std::optional<Address>& address) {
  return allows(selector, [&](const Prefix& prefix) { return address && prefix.contains(*address); });
}

/// Port 0: it is not known.
bool allowsPort(const Selector<PortRange>& selector, std::uint16_t port) {
  if (port == 0) return selector.empty();
  return allows(selector, [&](const PortRange& range) { return port >= range.first && port <= range.last; });
}

}  // namespace

std::string mismatch(const RuleConfig& rule, const FirstPacket& first) {
  const Packet& packet = first.packet;
  const bool local = packet.inputDevice.empty();
  const auto unknownIf = [](bool unknown) { return unknown ? std::string{", which is not known"} : std::string{}; };
  // What is not known is not excluded either; but of what this host sends, there is no source before there is a route.
  const bool unknownSource = !packet.source && !local && !rule.source.empty();
  if (unknownSource || !allowsAddress(rule.source, packet.source)) return "src_ip" + unknownIf(!packet.source);
  if (!allowsAddress(rule.destination, packet.destination.address)) return "dest_ip";
  if (!allowsValue(rule.protocol, packet.protocol)) return "proto";
  if (!allowsPort(rule.sourcePort, packet.sourcePort)) return "src_port" + unknownIf(packet.sourcePort == 0);
  if (!allowsPort(rule.destinationPort, packet.destination.port))
    return "dest_port" + unknownIf(packet.destination.port == 0);
  if (rule.family && *rule.family != packet.destination.address.family()) return "family";
  if (!allowsValue(rule.inputDevice, packet.inputDevice)) return "src_iface";
  if (rule.origin != Origin::any && local != (rule.origin == Origin::local)) return "origin";
  if (!rule.sourceMac.empty() && !(first.sourceMac && allowsValue(rule.sourceMac, *first.sourceMac)))
    return "src_mac" + unknownIf(!local && !first.sourceMac);
  if (!allowsValue(rule.dscp, first.dscp)) return "dscp";
  return {};
}

}  // namespace wgsteer
