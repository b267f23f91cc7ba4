// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/traffic_machine.hpp"

#include <algorithm>
#include <cstring>

#include "wgsteer/core/numbers.hpp"

#include "core/nft_sets.hpp"

namespace wgsteer {

namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
// DCCP, SCTP, UDP-Lite.
constexpr std::array<std::uint8_t, 5> kWithPorts{kTcp, kUdp, 33, 132, 136};

// As in the chain `local`. ICMPv6 is taken for an echo request.
constexpr std::array kDhcp{kDhcpPorts, kDhcp6Ports};

bool isUdpTo(const Packet& packet, const PortRange& ports) {
  return packet.protocol == kUdp && packet.destination.port >= ports.first && packet.destination.port <= ports.last;
}

using Bytes = std::vector<std::uint8_t>;

Bytes bytesOf(std::uint16_t port) {
  return {static_cast<std::uint8_t>(port >> 8U), static_cast<std::uint8_t>(port & 0xffU)};
}
Bytes bytesOf(const Address& address) { return {address.bytes().begin(), address.bytes().end()}; }
Bytes bytesOf(Mark mark) {
  Bytes bytes(sizeof mark.value);
  std::memcpy(bytes.data(), &mark.value, sizeof mark.value);
  return bytes;
}

std::optional<Bytes> addressOf(const std::optional<Address>& address, Family family) {
  return address && address->family() == family ? std::optional{bytesOf(*address)} : std::nullopt;
}

/// Port 0: it is not known, and no packet has it.
std::optional<Bytes> portOf(const Packet& packet, std::uint16_t port) {
  const bool hasPorts = std::ranges::find(kWithPorts, packet.protocol) != kWithPorts.end();
  return hasPorts && port != 0 ? std::optional{bytesOf(port)} : std::nullopt;
}

/// nullopt: the packet has no such field, or it is not known, and a statement that looks at it does not match, inverted
/// or not.
std::optional<Bytes> fieldOf(const FirstPacket& first, TrafficField field) {
  const Packet& packet = first.packet;
  switch (field) {
    case TrafficField::inputDevice:  // of what this host sends, an empty name
      return Bytes{packet.inputDevice.begin(), packet.inputDevice.end()};
    case TrafficField::source4:
    case TrafficField::source6:
      return addressOf(packet.source, field == TrafficField::source4 ? Family::v4 : Family::v6);
    case TrafficField::destination4:
    case TrafficField::destination6:
      return addressOf(packet.destination.address, field == TrafficField::destination4 ? Family::v4 : Family::v6);
    case TrafficField::sourcePort:
      return portOf(packet, packet.sourcePort);
    case TrafficField::destinationPort:
      return portOf(packet, packet.destination.port);
    case TrafficField::protocol:
      return Bytes{packet.protocol};
    case TrafficField::sourceMac:
      return first.sourceMac ? std::optional{Bytes{first.sourceMac->begin(), first.sourceMac->end()}} : std::nullopt;
    case TrafficField::mark:
      break;
  }
  return bytesOf(packet.mark);
}

/// The prefix, and what it leaves of the address.
Address movedTo(const Prefix& prefix, const Address& address) {
  Bytes bytes = bytesOf(prefix.address());
  for (std::size_t bit = prefix.length(); bit < bytes.size() * 8; ++bit)
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | (address.bytes()[bit / 8] & (0x80U >> bit % 8)));
  return *Address::fromBytes(bytes);
}

}  // namespace

MarkMatch TrafficMachine::markOf(Slot slot) const { return Numbers{.markMask = nft_.layout.markMask}.mark(slot); }

TrafficDecision TrafficMachine::decide(const FirstPacket& first) const {
  return first.packet.inputDevice.empty() ? output(first) : prerouting(first);
}

/// By the chain `prerouting`: an answer to WireGuard of this host, and, with `forward`, a packet of WireGuard behind
/// it.
std::optional<Slot> TrafficMachine::stampOfWireGuard(const FirstPacket& first) const {
  const Packet& packet = first.packet;
  const NftTable& table = nft_.table;
  if (packet.protocol != kUdp) return std::nullopt;
  const auto wan = table.wans.find(packet.inputDevice);
  if (wan != table.wans.end()) {
    const bool answer = table.listenPorts.contains(packet.destination.port) &&
                        table.addresses.contains({packet.inputDevice, packet.destination.address});
    return answer ? std::optional{wan->second} : std::nullopt;
  }
  const auto known = table.endpoints.find(packet.destination);
  return nft_.layout.forward && known != table.endpoints.end() ? known->second : std::nullopt;
}

/// The exit that answers; none: it did not come in by a WAN that could, or WireGuard answers.
std::optional<Slot> TrafficMachine::exitOnArrival(const FirstPacket& first) const {
  const Packet& packet = first.packet;
  const auto arrival = nft_.table.arrivals.find({packet.destination.address.family(), packet.inputDevice});
  return arrival == nft_.table.arrivals.end() ? std::nullopt : std::optional{arrival->second};
}

TrafficDecision TrafficMachine::prerouting(const FirstPacket& first) const {
  const Packet& packet = first.packet;
  const NftTable& table = nft_.table;
  TrafficDecision decision{.reason = {}, .mark = packet.mark, .connection = {}, .rule = {}};
  const auto ended = [&](TrafficReason reason) { return decision.reason = reason, decision; };
  if (const auto stamped = stampOfWireGuard(first)) decision.mark = stamp(packet.mark, markOf(*stamped));
  const auto exit = exitOnArrival(first);
  if (exit) {
    const bool toUs = packet.protocol == kUdp && table.listenPorts.contains(packet.destination.port);
    if (toUs && routing_.isLocal(packet)) return ended(TrafficReason::wireGuard);
    decision.connection = Mark{markOf(*exit).value};
  }
  if (table.namedMarks.contains(decision.mark)) return ended(TrafficReason::namedMark);
  const auto pinned = table.pinned.find({packet.destination.address.family(), decision.connection});
  if (exit && pinned != table.pinned.end()) {
    // What others have marked stays as it is.
    if (decision.mark.value == 0) decision.mark = Mark{markOf(pinned->second.mark).value};
    return ended(TrafficReason::arrived);
  }
  if (table.wans.contains(packet.inputDevice)) return ended(TrafficReason::byWan);
  if (hasOurBits(decision.mark) && !program_.marks.matches(decision.mark)) return ended(TrafficReason::wireGuard);
  if (routing_.isForUsOrMany(packet)) return ended(TrafficReason::forUsOrMany);
  FirstPacket marked = first;
  marked.packet.mark = decision.mark;
  return askRules(marked);
}

TrafficDecision TrafficMachine::output(const FirstPacket& first) const {
  const Packet& packet = first.packet;
  const auto ended = [&](TrafficReason reason) {
    return TrafficDecision{.reason = reason, .mark = packet.mark, .connection = {}, .rule = {}};
  };
  const bool ofATunnel = packet.protocol == kUdp && nft_.table.listenPorts.contains(packet.sourcePort);
  if (hasOurBits(packet.mark) || ofATunnel) return ended(TrafficReason::wireGuard);
  if (nft_.table.namedMarks.contains(packet.mark)) return ended(TrafficReason::namedMark);
  for (const PortRange& ports : kDhcp)
    if (isUdpTo(packet, ports)) return ended(TrafficReason::housekeeping);
  if (routing_.isForUsOrMany(packet)) return ended(TrafficReason::forUsOrMany);
  if (!program_.asksForLocal.contains(packet.destination.address.family())) return ended(TrafficReason::noRule);
  return askRules(first);
}

TrafficDecision TrafficMachine::askRules(const FirstPacket& first) const {
  const Mark before = first.packet.mark;
  // Where no rule gives one, a mark of ours that somebody restored is taken away.
  const Mark forgotten =
      program_.marks.matches(before) ? stamp(before, {.value = 0, .mask = nft_.layout.markMask}) : before;
  TrafficDecision decision{.reason = TrafficReason::noRule, .mark = forgotten, .connection = {}, .rule = {}};
  const std::string chain = chainFor(first);
  const auto verdict = std::ranges::find(program_.verdicts, chain, &TrafficVerdict::chain);
  if (verdict == program_.verdicts.end()) return decision;
  decision.reason = TrafficReason::rule;
  decision.rule = chain.substr(kRulePrefix.size());
  if (verdict->mark) decision.mark = stamp(before, markOf(*verdict->mark));
  return decision;
}

/// Empty: no statement leads anywhere.
std::string TrafficMachine::chainFor(const FirstPacket& first) const {
  for (const TrafficMatch& match : program_.matches)
    if (std::string chain = chainFor(match, first); !chain.empty()) return chain;
  return {};
}

std::string TrafficMachine::chainFor(const TrafficMatch& match, const FirstPacket& first) const {
  if (match.family && *match.family != first.packet.destination.address.family()) return {};
  if (match.fromHere && *match.fromHere != first.packet.inputDevice.empty()) return {};
  if (match.dscp && *match.dscp != first.dscp) return {};
  if (std::ranges::find(match.notDscp, first.dscp) != match.notDscp.end()) return {};
  for (const TrafficCondition& condition : match.conditions) {
    if (!fieldOf(first, condition.field)) return {};
    const bool found = rangeIn(condition.set, condition.field, first) != nullptr;
    if (found == condition.inverted) return {};
  }
  if (!match.chain.empty()) return match.chain;
  const TrafficRange* range = rangeIn(match.map, match.mapField, first);
  return range == nullptr ? std::string{} : range->chain;
}

const TrafficRange* TrafficMachine::rangeIn(const std::string& set, TrafficField field,
                                            const FirstPacket& first) const {
  const auto found = std::ranges::find(program_.sets, set, &TrafficSet::name);
  const auto value = fieldOf(first, field);
  if (found == program_.sets.end() || !value) return nullptr;
  const auto holds = [&](const TrafficRange& range) { return range.first <= *value && *value <= range.last; };
  const auto range = std::ranges::find_if(found->ranges, holds);
  return range == found->ranges.end() ? nullptr : &*range;
}

SourceVerdict TrafficMachine::verdictOnSource(const Packet& packet, const IfName& device) const {
  const SourceVerdict fine{.refused = false, .source = packet.source};
  const auto slot = Numbers{.markMask = nft_.layout.markMask}.slotIn(packet.mark.value);
  const auto treated = std::ranges::find_if(program_.foreignSources, [&](const TrafficForeignSource& of) {
    return slot && std::ranges::find(of.marks, *slot) != of.marks.end();
  });
  const bool concerned = treated != program_.foreignSources.end() && packet.source &&
                         packet.source->family() == Family::v6 && nft_.table.wans.contains(device);
  if (!concerned || isOfExit(*packet.source, device)) return fine;
  const SourceVerdict refused{.refused = !packet.inputDevice.empty(), .source = packet.source};
  if (treated->treatment == ForeignSource::reject) return refused;
  if (treated->treatment == ForeignSource::masquerade) {
    const auto own = nft_.table.sources.find({device, Family::v6});
    return own == nft_.table.sources.end() ? fine : SourceVerdict{.refused = false, .source = own->second};
  }
  const auto by = std::ranges::find_if(treated->translations, [&](const TrafficTranslation& each) {
    return each.device == device && each.inside.contains(*packet.source);
  });
  if (by == treated->translations.end()) return refused;
  return {.refused = false, .source = movedTo(by->outside, *packet.source)};
}

bool TrafficMachine::isOfExit(const Address& source, const IfName& device) const {
  return std::ranges::any_of(nft_.table.prefixes,
                             [&](const auto& own) { return own.first == device && own.second.contains(source); });
}

std::optional<Slot> TrafficMachine::pinFor(Mark mark, const IfName& device) const {
  const Mark ours{mark.value & nft_.layout.markMask};
  for (const TrafficLeaving& leaving : program_.leavings) {
    if (markOf(leaving.chosen).value != ours.value) continue;
    const auto pin = std::ranges::find(leaving.pins, device, &TrafficPin::device);
    if (pin != leaving.pins.end()) return pin->pin;
  }
  return std::nullopt;
}

}  // namespace wgsteer
