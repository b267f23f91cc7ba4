// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/traffic_chains.hpp"

#include <algorithm>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>
#include <map>

#include "netlink/kernel_headers.hpp"
#include "nft/foreign_source_chains.hpp"

namespace wgsteer::nft {

namespace {

constexpr const char* kRules = "rules";
constexpr const char* kConnections = "connections";
constexpr const char* kArrivals = "arrivals";
constexpr const char* kUnpinned = "unpinned";
constexpr const char* kLocal = "local";

// Of linux/netfilter/nf_conntrack_common.h, as bits.
constexpr std::uint32_t kEstablishedOrRelated = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED);
constexpr std::uint32_t kNew = NF_CT_STATE_BIT(IP_CT_NEW);

// Neighbour and router discovery and multicast listeners talk to a network, not to an address; DHCP does as well.
constexpr std::uint8_t kLinkIcmpFirst = 130;
constexpr std::uint8_t kLinkIcmpLast = 143;

constexpr const char* named(NftSetId id) { return nftSet(id).name; }
constexpr const char* named(NftSetId v4, Family family) { return named(byFamily(family, v4)); }

class TrafficRuleset {
 public:
  TrafficRuleset(const Numbers& numbers, const TrafficProgram& program) : numbers_(numbers), program_(program) {}

  std::vector<Chain> build() {
    for (const auto& [name, slot] : program_.slots) names_.emplace(slot, name);
    for (const Slot exit : program_.exits) markChain(exitChainName(exit), exit);
    for (const Slot slot : program_.former) addFor(slot, formerChainName(slot));
    for (const Slot choice : program_.choices) markChain(chooseChainName(choice), choice);
    for (const TrafficVerdict& verdict : program_.verdicts) verdictChain(verdict);
    rulesChain();
    unpinnedChain();
    connectionsChain();
    arrivalsChain();
    localChain();
    for (const Slot exit : program_.exits) arriveChain(exit);
    for (const TrafficLeaving& leaving : program_.leavings) leaveChain(leaving);
    hooks();
    addForeignSourceChains(numbers_, program_, chains_);
    return std::move(chains_);
  }

 private:
  Chain& add(std::string name, std::optional<Hook> hook = {}) {
    return chains_.emplace_back(Chain{.name = std::move(name), .hook = hook, .rules = {}});
  }

  /// A chain that stands for a mark says what it means, to people and to the next run of this program.
  Chain& addFor(Slot slot, std::string name) {
    Chain& chain = add(std::move(name));
    const auto known = names_.find(slot);
    if (known != names_.end()) chain.comment = known->second;
    return chain;
  }

  void markChain(std::string name, Slot slot) {
    Chain& chain = addFor(slot, std::move(name));
    chain.rules.emplace_back().stampMark(numbers_.mark(slot));
  }

  /// Takes away a mark that a program put there that restores the whole mark of a connection (wg-quick), when what it
  /// means is over: the packet is routed as if we were not there.
  void forgetMark(Chain& chain) {
    chain.rules.emplace_back().hasMark(program_.marks).stampMark({.value = 0, .mask = numbers_.markMask});
  }

  void verdictChain(const TrafficVerdict& verdict) {
    Chain& chain = add(verdict.chain);
    chain.rules.emplace_back().countNamed(verdict.counter);
    for (const TrafficMemory& memory : verdict.memories)
      for (const Family family : kFamilies)
        chain.rules.emplace_back()
            .isFamily(family)
            .sourceRemembered(family, setOf(memory, family))
            .thenGoto(chooseChainName(memory.mark).c_str());
    if (!verdict.choices.empty()) share(chain, verdict);
    if (verdict.mark)
      chain.rules.emplace_back().stampMark(numbers_.mark(*verdict.mark));
    else
      forgetMark(chain);
  }

  static const char* setOf(const TrafficMemory& memory, Family family) {
    return (family == Family::v4 ? memory.set4 : memory.set6).c_str();
  }

  static void share(Chain& chain, const TrafficVerdict& verdict) {
    switch (verdict.balance) {
      case Balance::connection:
        return shareConnections(chain, verdict.choices);
      case Balance::pair:
        return shareHashes(chain, verdict.choices, &Rule::pairHashBelow);
      case Balance::source:
        return shareHashes(chain, verdict.choices, &Rule::sourceHashBelow);
    }
  }

  /// Each statement draws anew: a choice gets its part of what those before it have left.
  static void shareConnections(Chain& chain, const std::vector<TrafficChoice>& choices) {
    std::uint32_t taken = 0;
    for (const TrafficChoice& choice : choices) {
      Rule& rule = chain.rules.emplace_back();
      const std::uint32_t left = choices.back().below - taken;
      if (choice.below - taken < left) rule.randomBelow(left, choice.below - taken);
      rule.thenGoto(chooseChainName(choice.mark).c_str());
      taken = choice.below;
    }
  }

  /// The same number for the same addresses in each statement. The kernel's own hash of forwarded packets, for its
  /// multipath routes, has IPv6's flow label in it, which is another one for each connection.
  static void shareHashes(Chain& chain, const std::vector<TrafficChoice>& choices,
                          Rule& (Rule::*hashBelow)(Family, std::uint32_t sum, std::uint32_t limit)) {
    const TrafficChoice& last = choices.back();
    for (const TrafficChoice& choice : choices)
      for (const Family family : kFamilies)
        if (choice.below < last.below)
          (chain.rules.emplace_back().isFamily(family).*hashBelow)(family, last.below, choice.below)
              .thenGoto(chooseChainName(choice.mark).c_str());
    chain.rules.emplace_back().thenGoto(chooseChainName(last.mark).c_str());
  }

  static void select(Rule& rule, const TrafficMatch& match) {
    if (match.family) rule.isFamily(*match.family);
    if (match.fromHere) *match.fromHere ? rule.fromHere() : rule.cameIn();
    if (match.dscp) rule.hasCodePoint(*match.family, *match.dscp);
    if (match.family) rule.hasNoneOf(*match.family, match.notDscp);
    for (const TrafficCondition& condition : match.conditions)
      rule.fieldIn(condition.field, condition.set.c_str(), condition.inverted);
  }

  void rulesChain() {
    Chain& chain = add(kRules);
    for (const TrafficMatch& match : program_.matches) {
      Rule& rule = chain.rules.emplace_back();
      select(rule, match);
      if (match.chain.empty())
        rule.goByField(match.mapField, match.map.c_str());
      else
        rule.thenGoto(match.chain.c_str());
    }
    forgetMark(chain);
  }

  /// Both directions of a connection: strict reverse path filters and flow tables need the replies' marks.
  void followConnection(Chain& chain) {
    chain.rules.emplace_back().markIn(named(NftSetId::namedMark)).thenReturn();
    followPin(chain);
  }

  void followPin(Chain& chain) {
    for (const Family family : kFamilies)
      chain.rules.emplace_back().isFamily(family).goByConnectionMark(numbers_.markMask,
                                                                     named(NftSetId::pinned4, family));
  }

  /// Connections from before there were rules are left alone, also those that nobody answers (syslog, NetFlow): a fixed
  /// translation would keep their source, and another exit drop it. "Not a reply" rather than "new": a connection whose
  /// exit has died asks again.
  void askRules(Chain& chain) {
    chain.rules.emplace_back().hasBegun().hasConnectionMark({.value = 0, .mask = numbers_.markMask}).thenReturn();
    chain.rules.emplace_back()
        .isInState(NF_CT_STATE_BIT(IP_CT_RELATED))
        .hasConnectionMark({.value = 0, .mask = numbers_.markMask})
        .thenReturn();
    chain.rules.emplace_back().isReply().thenReturn();
    // Of packets that somebody excepts from tracking, nobody knows which are answers.
    chain.rules.emplace_back().isInState(NF_CT_STATE_UNTRACKED_BIT).thenReturn();
    // Not "unicast": in IPv6 that asks main for a route, which only the table of a WAN may have. In one statement: it
    // looks up a route each time, in IPv6 the most expensive part of a new connection.
    static_assert(RTN_LOCAL < RTN_BROADCAST && RTN_BROADCAST < RTN_ANYCAST && RTN_ANYCAST < RTN_MULTICAST &&
                  RTN_MULTICAST - RTN_LOCAL == 3);
    chain.rules.emplace_back().destinationTypeBetween(RTN_LOCAL, RTN_MULTICAST).thenReturn();
    chain.rules.emplace_back().thenGoto(kRules);
  }

  void unpinnedChain() {
    Chain& chain = add(kUnpinned);
    chain.rules.emplace_back().markIn(named(NftSetId::namedMark)).thenReturn();
    chain.rules.emplace_back().inputIn(named(NftSetId::wan)).thenReturn();
    // WireGuard of hosts behind this one.
    chain.rules.emplace_back().anyOf(numbers_.markMask).hasNotMark(program_.marks).thenReturn();
    askRules(chain);
  }

  /// Of a connection that a WAN's chain may just have noted.
  void connectionsChain() {
    Chain& chain = add(kConnections);
    followPin(chain);
    chain.rules.emplace_back().thenGoto(kUnpinned);
  }

  void arrivalsChain() {
    Chain& chain = add(kArrivals);
    for (const Family family : kFamilies)
      chain.rules.emplace_back().isFamily(family).goByInput(named(NftSetId::arrive4, family));
    chain.rules.emplace_back().thenGoto(kUnpinned);
  }

  /// False: nothing of this host asks the rules in the chains.
  bool onlyWhatAsks(Chain& chain) const {
    if (program_.asksForLocal.empty()) return false;
    for (const Family family : kFamilies)
      if (!program_.asksForLocal.contains(family)) chain.rules.emplace_back().isFamily(family).thenReturn();
    return true;
  }

  void localChain() {
    Chain& chain = add(kLocal);
    followConnection(chain);
    if (!onlyWhatAsks(chain)) return;
    for (const PortRange& ports : {kDhcpPorts, kDhcp6Ports})
      chain.rules.emplace_back().isUdp().destinationPortBetween(ports.first, ports.last).thenReturn();
    chain.rules.emplace_back().isProtocol(IPPROTO_ICMPV6).icmpTypeBetween(kLinkIcmpFirst, kLinkIcmpLast).thenReturn();
    askRules(chain);
  }

  /// WireGuard's own connections are told by their tunnel's mark. The mark that somebody else has given to a packet
  /// which begins something here stays as it is: port forwards and services compare the whole of it (firewalld's do),
  /// and what answers is told by its connection.
  void arriveChain(Slot exit) {
    Chain& chain = add(arriveChainName(exit));
    chain.rules.emplace_back()
        .isUdp()
        .destinationPortIn(named(NftSetId::listenPort))
        .destinationIsOfType(RTN_LOCAL)
        .thenReturn();
    chain.rules.emplace_back()
        .isInState(kNew)
        .hasConnectionMark({.value = 0, .mask = numbers_.markMask})
        .stampConnectionMark(numbers_.mark(exit));
    chain.rules.emplace_back().isUnmarked().thenGoto(kConnections);
  }

  /// A sticky rule's source is noted under its new exit and forgotten under all others: it goes where it went last.
  void pinChain(const TrafficLeaving& leaving, const TrafficPin& pin) {
    Chain& chain = addFor(pin.pin, pinChainName(pin.pin));
    // Not one that has gone elsewhere before: a fixed translation would keep the source of its former exit, and until
    // it is deleted, which goes by the mark, its packets ask the rules. But one whose mark is that of its packet:
    // others save the whole mark (CONNMARK --save-mark) before this chain.
    for (const std::uint32_t without : {std::uint32_t{0}, numbers_.mark(leaving.chosen).value})
      chain.rules.emplace_back()
          .hasConnectionMark({.value = without, .mask = numbers_.markMask})
          .stampConnectionMark(numbers_.mark(pin.pin));
    for (const TrafficMemory& memory : leaving.memories)
      for (const Family family : kFamilies) {
        if (memory.mark == pin.pin)
          chain.rules.emplace_back().remember(family, setOf(memory, family), leaving.timeout);
        else
          chain.rules.emplace_back().forget(family, setOf(memory, family));
      }
  }

  void leaveChain(const TrafficLeaving& leaving) {
    for (const TrafficPin& pin : leaving.pins) pinChain(leaving, pin);
    Chain& chain = addFor(leaving.chosen, leaveChainName(leaving.chosen));
    for (const TrafficPin& pin : leaving.pins) {
      const std::string to = pinChainName(pin.pin);
      if (pin.routers.empty()) chain.rules.emplace_back().outputIs(pin.device).thenGoto(to.c_str());
      for (const Address& router : pin.routers)
        chain.rules.emplace_back()
            .outputIs(pin.device)
            .isFamily(router.family())
            .nextHopIs(router)
            .thenGoto(to.c_str());
    }
  }

  void hooks() {
    // Nearly all packets are of pinned connections, so these come first; by which WAN others came in concerns only
    // them.
    Chain& incoming = add("traffic", Hook{"filter", NF_INET_PRE_ROUTING, kTrafficChainPriority});
    incoming.rules.emplace_back().markIn(named(NftSetId::namedMark)).thenGoto(kArrivals);
    incoming.rules.emplace_back().isMarked().isOriginal().inputIn(named(NftSetId::wan)).thenGoto(kArrivals);
    followPin(incoming);
    incoming.rules.emplace_back().thenGoto(kArrivals);

    Chain& output = add("traffic_output", Hook{"route", NF_INET_LOCAL_OUT, kTrafficChainPriority});
    output.rules.emplace_back().anyOf(numbers_.markMask).thenReturn();
    output.rules.emplace_back().isUdp().sourcePortIn(named(NftSetId::listenPort)).thenReturn();
    output.rules.emplace_back().thenGoto(kLocal);

    Chain& sent = add("traffic_sent", Hook{"filter", NF_INET_POST_ROUTING, kLeavingChainPriority});
    sent.rules.emplace_back().isUnmarked().thenReturn();
    // Established connections are noted, or were there before any rule; but others save the whole mark of each packet.
    sent.rules.emplace_back().goByConnectionMark(numbers_.markMask, kSavedMap);
    sent.rules.emplace_back().isInState(kEstablishedOrRelated).thenReturn();
    sent.rules.emplace_back().goByMark(numbers_.markMask, kLeavingMap);

    if (program_.resets) reset();
    if (program_.asksForLocal.empty()) return;
    Chain& nat = add("traffic_nat", Hook{"nat", NF_INET_POST_ROUTING, kNatChainPriority});
    nat.rules.emplace_back().cameIn().thenReturn();
    nat.rules.emplace_back().hasNotMark(program_.marks).thenReturn();
    for (const Family family : kFamilies)
      nat.rules.emplace_back()
          .outputIn(named(NftSetId::wan))
          .isFamily(family)
          .sourceNotOf(named(NftSetId::address4, family), family)
          .sourceIn(named(NftSetId::bound4, family), family)
          .thenMasquerade();
  }

  /// For its sender only: the other end, if the packet reached it at all, might say nothing.
  void reset() {
    add(kResetChain).rules.emplace_back().isProtocol(IPPROTO_TCP).thenReset();
    Chain& chain = add("traffic_reset", Hook{"filter", NF_INET_FORWARD, kRefusalChainPriority});
    for (const Family family : kFamilies)
      chain.rules.emplace_back().isFamily(family).isMidStream().isInState(kNew).goByMark(
          numbers_.markMask, named(NftSetId::reset4, family));
  }

  const Numbers& numbers_;
  const TrafficProgram& program_;
  std::map<Slot, std::string> names_;
  std::vector<Chain> chains_;
};

}  // namespace

std::vector<Chain> trafficChains(const Numbers& numbers, const TrafficProgram& program) {
  return TrafficRuleset{numbers, program}.build();
}

std::vector<std::string> trafficCounters(const TrafficProgram& program) {
  std::vector<std::string> names;
  for (const TrafficVerdict& verdict : program.verdicts) names.push_back(verdict.counter);
  return names;
}

}  // namespace wgsteer::nft
