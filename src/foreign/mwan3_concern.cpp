// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/mwan3_concern.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "config/text.hpp"
#include "foreign/iptables_text.hpp"
#include "foreign/mwan3_families.hpp"

namespace wgsteer::foreign {

namespace {

/// 0 is none: a listen_port of 0 means a random one.
std::optional<std::uint16_t> portOf(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

bool isUdp(const Mwan3Rule& rule) {
  const auto protocol = iptablesProtocol(rule.proto);
  return protocol == 0 || protocol == 17;
}

/// Narrow enough to concern a host or a small network, not the rest of the world.
bool isNarrow(const AddressMatch& match) { return match.bits() >= (match.address.family() == Family::v4 ? 16 : 32); }

/// The rule's destinations in the family.
AddressList destinationsOf(const Mwan3Rule& rule, Family family) {
  // "::/0" would mean everything to iptables as well, if mwan3 passed it on.
  const bool v4 = hasIPv4(rule.destIp);
  const bool v6 = hasIPv6(rule.destIp);
  if (v4 != v6 && v4 != (family == Family::v4)) return {};
  return iptablesAddresses(trimmed(rule.destIp), family);
}

/// What a rule's dest_ip says about an endpoint.
struct Reach {
  bool named = false;     ///< this endpoint, narrowly
  bool anywhere = false;  ///< half the world or all of it, including this one
};

/// Without a host, about one that is not known.
Reach reachOf(const Mwan3Rule& rule, const std::string& host) {
  const auto address = Address::parse(host);
  Reach reach{.named = false, .anywhere = rule.destIp.empty()};
  for (const Family family : kFamilies) {
    if (address && address->family() != family) continue;
    const AddressList list = destinationsOf(rule, family);
    for (const AddressMatch& match : list.matches) {
      const bool contains = address ? match.contains(*address) : match.bits() == 0;
      reach.named |= contains && isNarrow(match);
      reach.anywhere |= contains && !isNarrow(match);
    }
    for (const std::string& name : list.names) reach.named |= sameIgnoringCase(name, host);
  }
  return reach;
}

bool isOfOtherFamily(const Mwan3Rule& rule, const std::string& host) {
  const auto address = Address::parse(host);
  return address && rule.family == (address->family() == Family::v4 ? "ipv6" : "ipv4");
}

bool goesToPortOf(const Mwan3Rule& rule, const NetifdPeer& peer) {
  if (rule.destPort.empty()) return true;
  const auto port = portOf(peer.endpointPort);
  return port && iptablesPorts(trimmed(rule.destPort)).covers(*port);
}

/// Whether it names an address that is no peer's own, and so may be that of a host name.
bool namesUnknownAddress(const Mwan3Rule& rule, const Network& network) {
  const auto isEndpoint = [&](const AddressMatch& match) {
    return std::ranges::any_of(network.interfaces, [&](const NetifdInterface& tunnel) {
      return std::ranges::any_of(tunnel.peers, [&](const NetifdPeer& peer) {
        const auto address = Address::parse(peer.endpointHost);
        return address && match.contains(*address) && goesToPortOf(rule, peer);
      });
    });
  };
  return std::ranges::any_of(kFamilies, [&](Family family) {
    return std::ranges::any_of(destinationsOf(rule, family).matches,
                               [&](const AddressMatch& match) { return isNarrow(match) && !isEndpoint(match); });
  });
}

enum class SourcePort : std::uint8_t { any, ours, other };

SourcePort sourcePortOf(const Mwan3Rule& rule, const NetifdInterface& tunnel) {
  // What the kernel chooses from for a tunnel without listen_port (ip_local_port_range).
  constexpr PortRange kRandom{32768, 60999};
  if (rule.srcPort.empty()) return SourcePort::any;
  const PortList ports = iptablesPorts(trimmed(rule.srcPort));
  if (const auto own = portOf(tunnel.listenPort)) return ports.covers(*own) ? SourcePort::ours : SourcePort::other;
  const bool coversAll = std::ranges::any_of(
      ports.ranges, [&](const PortRange& range) { return range.low <= kRandom.low && range.high >= kRandom.high; });
  return coversAll ? SourcePort::any : SourcePort::other;
}

/// Alone, not as one of many.
bool namesListenPort(const Mwan3Rule& rule, const NetifdInterface& tunnel) {
  const auto own = portOf(tunnel.listenPort);
  return own && std::ranges::any_of(iptablesPorts(trimmed(rule.srcPort)).ranges,
                                    [&](const PortRange& range) { return range.low == *own && range.high == *own; });
}

}  // namespace

Concern concernOf(const Mwan3Rule& rule, const Network& network, const Flow& flow) {
  if (!isUdp(rule)) return Concern::none;
  const SourcePort source = sourcePortOf(rule, *flow.tunnel);
  if (source == SourcePort::other) return Concern::none;
  const bool known = flow.peer != nullptr && !flow.peer->endpointHost.empty();
  const std::string host = known ? flow.peer->endpointHost : std::string{};
  if (known ? isOfOtherFamily(rule, host) || !goesToPortOf(rule, *flow.peer) : !rule.destPort.empty())
    return Concern::none;
  const Reach reach = reachOf(rule, host);
  if (reach.named) return Concern::meant;
  const bool namesPort = !rule.destPort.empty() && iptablesProtocol(rule.proto) != 0;
  if (reach.anywhere) {
    if (!rule.ipset.empty()) return Concern::none;
    return source == SourcePort::ours || namesPort ? Concern::meant : Concern::everything;
  }
  // Without DNS it is unknown whether an address is that of the host name: a rule with the port as well is meant for
  // it, unless the address is another peer's.
  const bool maybe = known && !Address::parse(host) && !rule.destPort.empty() && namesUnknownAddress(rule, network);
  return maybe ? Concern::guessed : Concern::none;
}

std::string whyNotAbout(const Mwan3Rule& rule, const Network& network, const NetifdInterface& tunnel) {
  if (!isUdp(rule)) return {};
  const auto wouldBeAbout = [&](const Mwan3Rule& wider) {
    if (isAbout(concernOf(wider, network, {&tunnel, nullptr}))) return true;
    return std::ranges::any_of(tunnel.peers, [&](const NetifdPeer& peer) {
      return !peer.disabled && isAbout(concernOf(wider, network, {&tunnel, &peer}));
    });
  };
  Mwan3Rule wider = rule;
  wider.ipset.clear();
  if (!rule.ipset.empty() && wouldBeAbout(wider))
    return "is about " + tunnel.name + " only as far as ipset " + config::inQuotes(rule.ipset) + " has its endpoints";
  if (namesListenPort(rule, tunnel))
    return "is about the listen_port of " + tunnel.name + ", but about no endpoint of it that is known here";
  wider = rule;
  wider.srcPort.clear();
  if (!rule.srcPort.empty() && wouldBeAbout(wider))
    return "is about an endpoint of " + tunnel.name + ", but about another source port than its listen_port";
  return {};
}

bool namesSource(const Mwan3Rule& rule) {
  if (!rule.srcIface.empty()) return true;
  if (rule.srcIp.empty()) return false;
  for (const Family family : kFamilies)
    for (const AddressMatch& match : iptablesAddresses(trimmed(rule.srcIp), family).matches)
      if (match.bits() == 0) return false;
  return true;
}

}  // namespace wgsteer::foreign
