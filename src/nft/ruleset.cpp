// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/ruleset.hpp"

#include "netlink/kernel_headers.hpp"

namespace wgsteer::nft {

namespace {

constexpr std::uint8_t kHandshakeInitiation = 1;
constexpr std::uint8_t kHandshakeResponse = 2;

/// The name of a set.
constexpr const char* named(NftSetId id) { return nftSet(id).name; }
constexpr const char* named(NftSetId v4, Family family) { return named(byFamily(family, v4)); }

/// Chains without a hook, for what concerns few packets only: a packet pays for each rule of a chain that it passes,
/// and a lookup in a set costs as much as ten comparisons.
constexpr const char* kWrongSource = "wrong_source";
constexpr const char* kFlows = "flows";
constexpr const char* kMarked = "marked";
constexpr const char* kUnmarked = "unmarked";
constexpr const char* kArrived = "arrived";

/// Only with a mark of ours or of a tunnel's owner. A device that is not a WAN is not in source4/6, and the rule ends
/// there.
Chain wrongSourceChain() {
  Chain chain{kWrongSource, {}, {}};
  chain.rules.emplace_back().markNotIn(named(NftSetId::ownMark)).markNotIn(named(NftSetId::foreignMark)).thenReturn();
  for (const Family family : kFamilies)
    chain.rules.emplace_back().isFamily(family).setSource(named(NftSetId::source4, family), family);
  return chain;
}

Chain sourceChain() {
  Chain chain{"source", Hook{"filter", NF_INET_LOCAL_OUT, kSourceChainPriority}, {}};
  // Most packets have no mark at all and cost one comparison. The marks of others are as the socket has set them: no
  // other program's chain comes before this one to add bits of its own.
  chain.rules.emplace_back().isUnmarked().thenReturn();
  chain.rules.emplace_back().notUdpReturn();
  for (const Family family : kFamilies)
    chain.rules.emplace_back()
        .isFamily(family)
        .sourceNotOf(named(NftSetId::address4, family), family)
        .sourceIn(named(NftSetId::bound4, family), family)
        .thenGoto(kWrongSource);
  return chain;
}

void goByMark(Chain& chain) {
  chain.rules.emplace_back().isUnmarked().thenGoto(kUnmarked);
  chain.rules.emplace_back().thenGoto(kMarked);
}

/// Packets to a peer with its own policy match whatever their mark. Reached by goto: `return` means that the packet is
/// left alone.
Chain flowsChain() {
  Chain chain{kFlows, {}, {}};
  for (const Family family : kFamilies)
    chain.rules.emplace_back().isFamily(family).isUdp().goByFlow(named(NftSetId::flow4, family), family);
  goByMark(chain);
  return chain;
}

/// A mark of ours steers the packet already, that of a tunnel's owner is to stay. Any other one on a packet of a known
/// tunnel was set on the way, and says nothing about it; without a known port, it is that of a tunnel that its owner
/// has made anew while no daemon runs (`wg-quick down`, `up`), whose rules test the whole mark.
Chain markedChain(const Numbers& numbers) {
  Chain chain{kMarked, {}, {}};
  chain.rules.emplace_back().anyOf(numbers.markMask).thenReturn();
  chain.rules.emplace_back().markIn(named(NftSetId::foreignMark)).thenReturn();
  chain.rules.emplace_back().isUnmarked().thenGoto(kUnmarked);
  chain.rules.emplace_back().sourcePortIn(named(NftSetId::listenPort)).thenGoto(kUnmarked);
  return chain;
}

/// Packets to any other peer match only if they look like WireGuard: other programs may send to the same server.
Chain unmarkedChain() {
  Chain chain{kUnmarked, {}, {}};
  chain.rules.emplace_back().typeOfNoWireGuard().thenReturn();
  chain.rules.emplace_back().reservedOfNoWireGuard().thenReturn();
  for (const Family family : kFamilies)
    chain.rules.emplace_back().isFamily(family).isUdp().goByEndpoint(named(NftSetId::endpoint4, family), family);
  return chain;
}

/// Packets that do not concern us should fail the cheapest test: a port is looked up in a bitmap, an address in a hash
/// table.
void goByPeers(Chain& chain) {
  chain.rules.emplace_back().isUdp().sourcePortIn(named(NftSetId::flowPort)).thenGoto(kFlows);
  goByMark(chain);
}

/// After `source`, not before: a packet that is rerouted here still has the name of its first device in later chains of
/// this traversal, so its new source would look wrong.
Chain outputChain() {
  Chain chain{kOutputChain, Hook{"route", NF_INET_LOCAL_OUT, kOutputChainPriority}, {}};
  chain.rules.emplace_back().notUdpReturn();
  goByPeers(chain);
  return chain;
}

Chain remarkChain(const Numbers& numbers) {
  Chain chain{"remark", Hook{"route", NF_INET_LOCAL_OUT, kMangleChainPriority}, {}};
  chain.rules.emplace_back().notUdpReturn();
  chain.rules.emplace_back().anyOf(numbers.markMask).thenReturn();
  goByPeers(chain);
  return chain;
}

/// Packets for this host: packets for other hosts may have a tunnel's port as well.
Chain arrivedChain() {
  Chain chain{kArrived, {}, {}};
  for (const Family family : kFamilies)
    chain.rules.emplace_back()
        .isFamily(family)
        .destinationOf(named(NftSetId::address4, family), family)
        .goByInput(named(NftSetId::arrival));
  return chain;
}

/// All forwarded packets pass here, and cost only one lookup of their port.
Chain arrivalChain(const char* name, std::int32_t priority) {
  Chain chain{name, Hook{"filter", NF_INET_PRE_ROUTING, priority}, {}};
  chain.rules.emplace_back().isUdp().destinationPortIn(named(NftSetId::listenPort)).thenJump(kArrived);
  return chain;
}

Chain preroutingChain(bool forward) {
  Chain chain = arrivalChain("prerouting", kMangleChainPriority);
  if (!forward) return chain;
  // Other programs of the hosts behind this one may send to the same server.
  chain.rules.emplace_back().typeOfNoWireGuard().thenReturn();
  chain.rules.emplace_back().reservedOfNoWireGuard().thenReturn();
  for (const Family family : kFamilies) {
    const char* map = named(NftSetId::endpoint4, family);
    chain.rules.emplace_back().inputNotIn(named(NftSetId::wan)).isFamily(family).isUdp().goByEndpoint(map, family);
  }
  return chain;
}

/// Of what is only forwarded, a mark of ours without `forward` is somebody else's (QoS), and where it goes is not our
/// concern. What the kernel's WireGuard sends has its own device as the input here (send4() in
/// drivers/net/wireguard/socket.c sets it, and ip_output() passes it on).
Chain sentChain(const Numbers& numbers, bool forward) {
  Chain chain{"sent", Hook{"filter", NF_INET_POST_ROUTING, kSentChainPriority}, {}};
  chain.rules.emplace_back().isUnmarked().thenReturn();
  if (!forward) chain.rules.emplace_back().cameIn().inputNotIn(named(NftSetId::tunnel)).thenReturn();
  chain.rules.emplace_back().noneOf(numbers.markMask).markNotIn(named(NftSetId::foreignMark)).thenReturn();
  chain.rules.emplace_back().notUdpReturn();
  chain.rules.emplace_back().isWireGuard(kHandshakeInitiation).countByOutput(named(NftSetId::initiations));
  chain.rules.emplace_back().outputIn(named(NftSetId::tunnel)).goByMark(numbers.markMask, named(NftSetId::keptOut));
  return chain;
}

/// Safety net: packets come here only while our rule or routes are missing.
Chain tunnelsChain() {
  Chain chain{kTunnelsChain, {}, {}};
  chain.rules.emplace_back().count().thenDrop();
  return chain;
}

Chain postroutingChain(const Numbers& numbers, bool traffic) {
  Chain chain{kPostroutingChain, Hook{"nat", NF_INET_POST_ROUTING, kNatChainPriority}, {}};
  chain.rules.emplace_back().noneOf(numbers.markMask).thenReturn();
  chain.rules.emplace_back().notUdpReturn();
  // The sources of any other traffic are up to the administrator's NAT.
  if (traffic) chain.rules.emplace_back().hasMark(numbers.trafficMarks()).thenReturn();
  for (const Family family : kFamilies)
    chain.rules.emplace_back()
        .outputIn(named(NftSetId::wan))
        .isFamily(family)
        .sourceNotOf(named(NftSetId::address4, family), family)
        .thenMasquerade();
  return chain;
}

}  // namespace

std::vector<Chain> baseChains(const Numbers& numbers, const NftLayout& layout) {
  const bool forward = layout.forward;
  std::vector<Chain> chains;
  // First, because elements and rules refer to it.
  chains.push_back(tunnelsChain());
  chains.push_back(wrongSourceChain());
  chains.push_back(unmarkedChain());
  chains.push_back(markedChain(numbers));
  chains.push_back(flowsChain());
  chains.push_back(arrivedChain());
  if (!layout.tunnels) return chains;
  chains.push_back(sourceChain());
  chains.push_back(outputChain());
  chains.push_back(remarkChain(numbers));
  chains.push_back(arrivalChain("early", kEarlyChainPriority));
  chains.push_back(preroutingChain(forward));
  chains.push_back(sentChain(numbers, forward));
  // A chain of type nat would make the kernel track all connections, even on a host that does not want that.
  if (forward) chains.push_back(postroutingChain(numbers, static_cast<bool>(layout.traffic)));
  return chains;
}

Chain policyChain(const Numbers& numbers, Slot slot) {
  Chain chain{policyChainName(slot), {}, std::vector<Rule>(4)};
  chain.rules[0].count();
  // Already routed by this mark: its source is right, and may be another address of the WAN than the one we would set.
  chain.rules[1].hasMark(numbers.mark(slot)).thenReturn();
  chain.rules[2].stampMark(numbers.mark(slot));
  // The sources of other hosts' packets are up to NAT.
  chain.rules[3].cameIn().thenReturn();
  // A peer on a LAN is sent the LAN's address. What would have entered a tunnel may have any: one without an address
  // makes the kernel take that of a LAN.
  for (const Family family : kFamilies) {
    const char* sources = named(NftSetId::policySource4, family);
    chain.rules.emplace_back()
        .isFamily(family)
        .sourceIn(named(NftSetId::bound4, family), family)
        .setSourceByMark(numbers.markMask, sources, family);
    chain.rules.emplace_back()
        .outputIn(named(NftSetId::tunnel))
        .isFamily(family)
        .setSourceByMark(numbers.markMask, sources, family);
  }
  return chain;
}

Chain wanChain(const Numbers& numbers, Slot slot) {
  Chain chain{wanChainName(slot), {}, std::vector<Rule>(3)};
  // Two chains lead here, and the second one finds nothing to do.
  chain.rules[0].hasMark(numbers.mark(slot)).thenReturn();
  chain.rules[1].isWireGuard(kHandshakeResponse).countNamed(responsesCounter(slot));
  chain.rules[2].stampMark(numbers.mark(slot));
  return chain;
}

}  // namespace wgsteer::nft
