// SPDX-License-Identifier: GPL-2.0-or-later
#include "support/random_traffic.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace wgsteer::test {

namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
const std::vector<std::uint8_t> kPorted{kTcp, kUdp, 132, 136, 33};
const std::vector<std::uint8_t> kProtocols{kTcp, kUdp, kTcp, kUdp, kTcp, kUdp, 1, 58, 47, 132, 136, 33};
/// Of LAN hosts, of inside networks and of the world. Prefixes of any length around them nest and overlap.
const std::vector<const char*> kHosts4{"192.168.5.40", "192.168.5.41", "192.168.6.9",  "203.0.113.9",
                                       "203.0.113.77", "198.18.44.1",  "10.9.0.77",    "10.8.0.77",
                                       "100.64.3.3",   "192.168.5.77", "192.168.5.255"};
const std::vector<const char*> kHosts6{"2001:db8:5::40",  "2001:db8:5::41", "2001:db8:6::9",  "2001:db8:ff::9",
                                       "2001:db8:ff::77", "fd09::77",       "fd09:0:0:1::77", "2001:db8:ffff::9"};
const std::vector<std::uint16_t> kPorts{1, 53, 79, 80, 81, 443, 999, 1000, 1500, 2000, 2001, 2500, 51821, 65535};
const std::vector<std::uint8_t> kCodePoints{0, 8, 10, 46, 63};

template <class T>
const T& oneOf(Random& random, const std::vector<T>& values) {
  return values[random.number(static_cast<unsigned>(values.size()))];
}

Family randomFamily(Random& random) { return random.chance(50) ? Family::v4 : Family::v6; }

Address randomHost(Random& random, Family family) {
  return *Address::parse(oneOf(random, family == Family::v4 ? kHosts4 : kHosts6));
}

/// The address, or one that differs from it in its last bits.
Address near(Random& random, const Address& address) {
  std::vector<std::uint8_t> bytes(address.bytes().begin(), address.bytes().end());
  if (random.chance(50)) bytes.back() = static_cast<std::uint8_t>(bytes.back() ^ random.number(8));
  if (random.chance(25)) bytes.back() = static_cast<std::uint8_t>(random.number(256));
  if (random.chance(15))
    bytes[bytes.size() - 2] = static_cast<std::uint8_t>(bytes[bytes.size() - 2] ^ random.number(8));
  return *Address::fromBytes(bytes);
}

Prefix randomPrefix(Random& random) {
  const Address address = randomHost(random, randomFamily(random));
  const unsigned bits = bitsOf(address.family());
  const unsigned kept = random.chance(30) ? 0 : random.chance(70) ? random.number(10) : random.number(bits + 1);
  return {address, static_cast<std::uint8_t>(bits - kept)};
}

PortRange randomRange(Random& random) {
  const std::uint16_t first = oneOf(random, kPorts);
  if (random.chance(50)) return {first, first};
  const std::uint16_t last = oneOf(random, kPorts);
  return {std::min(first, last), std::max(first, last)};
}

template <class Make>
auto randomSelector(Random& random, Make&& make) {
  Selector<std::decay_t<decltype(make())>> selector;
  if (random.chance(80))
    for (unsigned i = 1 + random.number(3); i > 0; --i) selector.any.push_back(make());
  if (selector.any.empty() || random.chance(30))
    for (unsigned i = 1 + random.number(2); i > 0; --i) selector.none.push_back(make());
  return selector;
}

MacAddress macNumber(unsigned number) { return {0x02, 0x00, 0x5e, 0x00, 0x53, static_cast<std::uint8_t>(number)}; }
MacAddress randomMac(Random& random) { return macNumber(1 + random.number(3)); }

/// As the loader leaves them: ports are of protocols that have some.
void choosePorts(Random& random, RuleConfig& rule) {
  if (random.chance(25)) rule.sourcePort = randomSelector(random, [&] { return randomRange(random); });
  if (random.chance(40)) rule.destinationPort = randomSelector(random, [&] { return randomRange(random); });
  const bool ports = !rule.sourcePort.empty() || !rule.destinationPort.empty();
  if (ports)
    rule.protocol.any = random.chance(60) ? std::vector{kTcp, kUdp} : std::vector{oneOf(random, kPorted)};
  else if (random.chance(35))
    rule.protocol = randomSelector(random, [&] { return oneOf(random, kProtocols); });
}

RuleConfig randomRule(Random& random, const TrafficPools& pools) {
  RuleConfig rule;
  if (random.chance(55)) rule.source = randomSelector(random, [&] { return randomPrefix(random); });
  if (random.chance(55)) rule.destination = randomSelector(random, [&] { return randomPrefix(random); });
  choosePorts(random, rule);
  if (random.chance(12)) rule.family = randomFamily(random);
  if (random.chance(30)) rule.origin = random.chance(50) ? Origin::forwarded : Origin::local;
  if (rule.origin != Origin::local && random.chance(25))
    rule.inputDevice = randomSelector(random, [&] { return oneOf(random, pools.inputs); });
  if (rule.origin != Origin::local && random.chance(15))
    rule.sourceMac = randomSelector(random, [&] { return randomMac(random); });
  if (random.chance(15)) rule.dscp = randomSelector(random, [&] { return oneOf(random, kCodePoints); });
  switch (random.number(8)) {
    case 0:
      rule.use = RuleUse::main;
      break;
    case 1:
      rule.use = RuleUse::unreachable;
      break;
    case 2:
      rule.use = RuleUse::blackhole;
      break;
    default:
      rule.policy = oneOf(random, pools.policies);
  }
  return rule;
}

template <class T>
bool isOneOf(const std::vector<T>& values, const T& value) {
  return std::ranges::find(values, value) != values.end();
}

bool isIn(const std::vector<Prefix>& prefixes, const Address& address) {
  return std::ranges::any_of(prefixes, [&](const Prefix& prefix) { return prefix.contains(address); });
}

bool isIn(const std::vector<PortRange>& ranges, std::uint16_t port) {
  return std::ranges::any_of(ranges, [&](const PortRange& range) { return range.first <= port && port <= range.last; });
}

bool isFor(const RuleConfig& rule, const FirstPacket& first) {
  const Packet& packet = first.packet;
  const bool local = packet.inputDevice.empty();
  if (rule.family && *rule.family != packet.destination.address.family()) return false;
  if (!rule.source.any.empty() && !isIn(rule.source.any, *packet.source)) return false;
  if (isIn(rule.source.none, *packet.source)) return false;
  if (!rule.destination.any.empty() && !isIn(rule.destination.any, packet.destination.address)) return false;
  if (isIn(rule.destination.none, packet.destination.address)) return false;
  if (!rule.protocol.any.empty() && !isOneOf(rule.protocol.any, packet.protocol)) return false;
  if (isOneOf(rule.protocol.none, packet.protocol)) return false;
  if (!rule.sourcePort.any.empty() && !isIn(rule.sourcePort.any, packet.sourcePort)) return false;
  if (isIn(rule.sourcePort.none, packet.sourcePort)) return false;
  if (!rule.destinationPort.any.empty() && !isIn(rule.destinationPort.any, packet.destination.port)) return false;
  if (isIn(rule.destinationPort.none, packet.destination.port)) return false;
  if (rule.origin == Origin::forwarded && local) return false;
  if (rule.origin == Origin::local && !local) return false;
  if (!rule.inputDevice.any.empty() && !isOneOf(rule.inputDevice.any, packet.inputDevice)) return false;
  if (isOneOf(rule.inputDevice.none, packet.inputDevice)) return false;
  // What has no hardware address is from no host on a network of ours.
  if (!rule.sourceMac.empty() && !first.sourceMac) return false;
  if (!rule.sourceMac.any.empty() && !isOneOf(rule.sourceMac.any, *first.sourceMac)) return false;
  if (!rule.sourceMac.none.empty() && isOneOf(rule.sourceMac.none, *first.sourceMac)) return false;
  if (!rule.dscp.any.empty() && !isOneOf(rule.dscp.any, first.dscp)) return false;
  return !isOneOf(rule.dscp.none, first.dscp);
}

std::string text(const Prefix& prefix) { return prefix.toString(); }
std::string text(const PortRange& range) { return std::to_string(range.first) + "-" + std::to_string(range.last); }
std::string text(std::uint8_t number) { return std::to_string(number); }
std::string text(const IfName& name) { return name; }
std::string text(const MacAddress& mac) { return "mac" + std::to_string(mac.back()); }

template <class T>
std::string text(const char* name, const Selector<T>& selector) {
  if (selector.empty()) return {};
  std::string all = std::string{" "} + name;
  for (const T& value : selector.any) all += " " + text(value);
  for (const T& value : selector.none) all += " !" + text(value);
  return all;
}

}  // namespace

std::vector<RuleConfig> randomRules(Random& random, const TrafficPools& pools) {
  std::vector<RuleConfig> rules;
  for (unsigned i = 1 + random.number(12); i > 0; --i) {
    rules.push_back(randomRule(random, pools));
    rules.back().name = "r" + std::to_string(rules.size());
  }
  return rules;
}

void randomTreatments(Random& random, Config& config) {
  config.wans.at(0).prefixes = {*Prefix::parse("2001:db8:5::/64")};
  config.wans.at(1).prefixes = {*Prefix::parse("2001:db8:6::/64")};
  for (WanConfig& wan : config.wans) wan.sourceRouting = random.chance(40);
  constexpr std::array kTreatments{ForeignSource::none, ForeignSource::none, ForeignSource::reject,
                                   ForeignSource::masquerade, ForeignSource::translate};
  for (PolicyConfig& policy : config.policies)
    policy.foreignSource = kTreatments.at(random.number(static_cast<unsigned>(kTreatments.size())));
  for (PolicyConfig& policy : config.policies) policy.reset = random.chance(30);
}

FirstPacket randomPacket(Random& random, const TrafficPools& pools) {
  const Family family = randomFamily(random);
  FirstPacket first;
  Packet& packet = first.packet;
  packet.outer = false;
  packet.destination.address = near(random, randomHost(random, family));
  packet.source = near(random, randomHost(random, family));
  if (random.chance(25)) {
    std::vector<Address> own;
    std::ranges::copy_if(pools.sources, std::back_inserter(own),
                         [&](const Address& each) { return each.family() == family; });
    packet.source = oneOf(random, own);
  } else {
    packet.inputDevice = oneOf(random, random.chance(10) ? pools.wans : pools.inputs);
    if (!isOneOf(pools.withoutMac, packet.inputDevice)) first.sourceMac = macNumber(1 + random.number(4));
  }
  do packet.protocol = oneOf(random, kProtocols);
  while (packet.protocol == (family == Family::v4 ? 58 : 1));
  if (isOneOf(kPorted, packet.protocol)) {
    packet.sourcePort =
        random.chance(50) ? oneOf(random, kPorts) : static_cast<std::uint16_t>(1 + random.number(65535));
    packet.destination.port =
        random.chance(80) ? oneOf(random, kPorts) : static_cast<std::uint16_t>(1 + random.number(65535));
  }
  if (random.chance(40)) first.dscp = oneOf(random, kCodePoints);
  return first;
}

const RuleConfig* ruleFor(const std::vector<RuleConfig>& rules, const FirstPacket& first) {
  const auto found = std::ranges::find_if(rules, [&](const RuleConfig& rule) { return isFor(rule, first); });
  return found == rules.end() ? nullptr : &*found;
}

std::string toString(const std::vector<RuleConfig>& rules) {
  std::string all;
  for (const RuleConfig& rule : rules) {
    all += rule.name + ":" + text("from", rule.source) + text("to", rule.destination) + text("proto", rule.protocol) +
           text("sport", rule.sourcePort) + text("dport", rule.destinationPort) + text("in", rule.inputDevice) +
           text("mac", rule.sourceMac) + text("dscp", rule.dscp);
    if (rule.family) all += std::string{" "} + nameOf(*rule.family);
    if (rule.origin != Origin::any) all += rule.origin == Origin::local ? " local" : " forwarded";
    all += " -> " +
           std::string{rule.use == RuleUse::policy      ? rule.policy
                       : rule.use == RuleUse::main      ? "main"
                       : rule.use == RuleUse::blackhole ? "blackhole"
                                                        : "unreachable"} +
           "\n";
  }
  return all;
}

std::string toString(const FirstPacket& first) {
  const Packet& packet = first.packet;
  return "proto " + std::to_string(packet.protocol) + " from " + packet.source->toString() + " " +
         std::to_string(packet.sourcePort) + " to " + packet.destination.toString() +
         (packet.inputDevice.empty() ? " sent here" : " in by " + packet.inputDevice) +
         (first.sourceMac ? " " + text(*first.sourceMac) : "") + " dscp " + std::to_string(first.dscp);
}

}  // namespace wgsteer::test
