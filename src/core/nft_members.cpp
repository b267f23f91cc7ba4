// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/nft_members.hpp"

#include <algorithm>
#include <optional>

namespace wgsteer {

namespace {

NftElement ofDevice(NftSetId set, const IfName& device) { return {.set = set, .key = {.device = device}}; }
NftElement ofMark(NftSetId set, Mark mark) { return {.set = set, .key = {.mark = mark}}; }

/// What a peer's element says: its policy, or that the packet stays as it is.
void leadTo(std::optional<Slot> policy, NftElement& element) {
  if (policy)
    element.value = NftGoto{policyChainName(*policy)};
  else
    element.value = NftReturn{};
}

/// The slot in a verdict `goto PREFIX_N`.
std::optional<Slot> slotIn(const NftElement& element, std::string_view prefix) {
  const auto* to = std::get_if<NftGoto>(&element.value);
  return to == nullptr ? std::nullopt : slotFromName(to->chain, prefix);
}

template <class Map, class Key>
bool takePeer(Map& map, const Key& key, const NftElement& element) {
  const auto policy = slotIn(element, kPolicyPrefix);
  if (!policy && !std::holds_alternative<NftReturn>(element.value)) return false;
  map.edit().emplace(key, policy);
  return true;
}

/// A source in a map by device or by mark.
template <class Map, class Key>
bool takeSource(Map& map, const Key& key, const NftElement& element) {
  const auto* source = std::get_if<Address>(&element.value);
  if (source != nullptr) map.emplace(std::pair{key, source->family()}, *source);
  return source != nullptr;
}

constexpr NftSetId memoryOf(SysctlKind kind) {
  switch (kind) {
    case SysctlKind::ignoreLinkdown4:
      return NftSetId::ignoreLinkdown4;
    case SysctlKind::ignoreLinkdown6:
      return NftSetId::ignoreLinkdown6;
    case SysctlKind::srcValidMark:
      break;
  }
  return NftSetId::srcValidMark;
}

}  // namespace

void NftMemberTraits<NftWan>::elements(const NftWan& wan, NftElements& out) {
  out.push_back(ofDevice(NftSetId::wan, wan.device));
  out.push_back(ofDevice(NftSetId::arrival, wan.device));
  out.back().value = NftGoto{wanChainName(wan.slot)};
  out.push_back(ofDevice(NftSetId::initiations, wan.device));
  out.back().value = NftCounter{initiationsCounter(wan.slot)};
}

bool NftMemberTraits<NftWan>::take(const NftElement& element, NftTable& table) {
  if (element.set != NftSetId::arrival) return true;
  const auto slot = slotIn(element, kWanPrefix);
  if (slot) table.wans.emplace(element.key.device, *slot);
  return slot.has_value();
}

void NftMemberTraits<NftAddress>::elements(const NftAddress& own, NftElements& out) {
  out.push_back(ofDevice(byFamily(own.address.family(), NftSetId::address4), own.device));
  out.back().key.address = own.address;
}

bool NftMemberTraits<NftAddress>::take(const NftElement& element, NftTable& table) {
  table.addresses.emplace(element.key.device, element.key.address);
  return true;
}

void NftMemberTraits<NftBound>::elements(const NftBound& bound, NftElements& out) {
  const auto set = byFamily(bound.address.family(), NftSetId::bound4);
  out.push_back({.set = set, .key = {.address = bound.address}});
}

bool NftMemberTraits<NftBound>::take(const NftElement& element, NftTable& table) {
  table.bound.insert(element.key.address);
  return true;
}

void NftMemberTraits<NftSource>::elements(const NftSource& source, NftElements& out) {
  out.push_back(ofDevice(byFamily(source.address.family(), NftSetId::source4), source.device));
  out.back().value = source.address;
}

bool NftMemberTraits<NftSource>::take(const NftElement& element, NftTable& table) {
  return takeSource(table.sources, element.key.device, element);
}

void NftMemberTraits<NftPolicySource>::elements(const NftPolicySource& source, NftElements& out) {
  out.push_back(ofMark(byFamily(source.address.family(), NftSetId::policySource4), source.mark));
  out.back().value = source.address;
}

bool NftMemberTraits<NftPolicySource>::take(const NftElement& element, NftTable& table) {
  return takeSource(table.policySources, element.key.mark, element);
}

void NftMemberTraits<NftEndpoint>::elements(const NftEndpoint& peer, NftElements& out) {
  const auto& [address, port] = peer.endpoint;
  out.push_back({.set = byFamily(address.family(), NftSetId::endpoint4), .key = {.address = address, .port = port}});
  leadTo(peer.policy, out.back());
}

bool NftMemberTraits<NftEndpoint>::take(const NftElement& element, NftTable& table) {
  return takePeer(table.endpoints, Endpoint{element.key.address, element.key.port}, element);
}

void NftMemberTraits<NftFlow>::elements(const NftFlow& flow, NftElements& out) {
  const auto& [address, port] = flow.flow.endpoint;
  out.push_back({.set = byFamily(address.family(), NftSetId::flow4),
                 .key = {.address = address, .port = port, .sourcePort = flow.flow.sourcePort}});
  leadTo(flow.policy, out.back());
}

bool NftMemberTraits<NftFlow>::take(const NftElement& element, NftTable& table) {
  const NftKey& key = element.key;
  return takePeer(table.flows, Flow{{key.address, key.port}, key.sourcePort}, element);
}

void NftMemberTraits<NftFlowPort>::elements(const NftFlowPort& flow, NftElements& out) {
  out.push_back({.set = NftSetId::flowPort, .key = {.port = flow.port}});
}

bool NftMemberTraits<NftFlowPort>::take(const NftElement& element, NftTable& table) {
  table.flowPorts.insert(element.key.port);
  return true;
}

void NftMemberTraits<NftListenPort>::elements(const NftListenPort& listen, NftElements& out) {
  out.push_back({.set = NftSetId::listenPort, .key = {.port = listen.port}});
}

bool NftMemberTraits<NftListenPort>::take(const NftElement& element, NftTable& table) {
  table.listenPorts.insert(element.key.port);
  return true;
}

void NftMemberTraits<NftTunnel>::elements(const NftTunnel& tunnel, NftElements& out) {
  out.push_back(ofDevice(NftSetId::tunnel, tunnel.device));
}

bool NftMemberTraits<NftTunnel>::take(const NftElement& element, NftTable& table) {
  table.tunnels.insert(element.key.device);
  return true;
}

void NftMemberTraits<NftForeignMark>::elements(const NftForeignMark& foreign, NftElements& out) {
  out.push_back(ofMark(NftSetId::foreignMark, foreign.mark));
}

bool NftMemberTraits<NftForeignMark>::take(const NftElement& element, NftTable& table) {
  table.foreignMarks.insert(element.key.mark);
  return true;
}

void NftMemberTraits<NftOwnMark>::elements(const NftOwnMark& own, NftElements& out) {
  out.push_back(ofMark(NftSetId::ownMark, own.mark));
  if (!own.keptOut) return;
  out.push_back(ofMark(NftSetId::keptOut, own.mark));
  out.back().value = NftGoto{kTunnelsChain};
}

bool NftMemberTraits<NftOwnMark>::take(const NftElement& element, NftTable& table) {
  if (element.set == NftSetId::keptOut)
    table.ownMarks.insert_or_assign(element.key.mark, true);
  else
    table.ownMarks.try_emplace(element.key.mark, false);
  return true;
}

void NftMemberTraits<NftSysctl>::elements(const NftSysctl& changed, NftElements& out) {
  out.push_back(ofDevice(memoryOf(changed.sysctl.kind), changed.sysctl.device));
}

bool NftMemberTraits<NftSysctl>::take(const NftElement& element, NftTable& table) {
  for (const SysctlKind kind : {SysctlKind::ignoreLinkdown4, SysctlKind::ignoreLinkdown6, SysctlKind::srcValidMark})
    if (memoryOf(kind) == element.set) table.changedSysctls.insert({kind, element.key.device});
  return true;
}

void NftMemberTraits<NftDeprecated>::elements(const NftDeprecated& ours, NftElements& out) {
  out.push_back({.set = NftSetId::deprecated, .key = {.address = ours.address, .before = ours.before}});
}

/// Of an address there is one record.
bool NftMemberTraits<NftDeprecated>::take(const NftElement& element, NftTable& table) {
  return table.deprecated.emplace(element.key.address, element.key.before).second;
}

namespace {

constexpr Family familyOf(NftSetId set, NftSetId v4) { return set == v4 ? Family::v4 : Family::v6; }

}  // namespace

void NftMemberTraits<NftPinned>::elements(const NftPinned& pinned, NftElements& out) {
  out.push_back(ofMark(byFamily(pinned.family, NftSetId::pinned4), pinned.pin));
  out.back().value = NftGoto{pinned.way.exit ? exitChainName(pinned.way.mark) : chooseChainName(pinned.way.mark)};
}

bool NftMemberTraits<NftPinned>::take(const NftElement& element, NftTable& table) {
  const auto exit = slotIn(element, kExitPrefix);
  const auto mark = exit ? exit : slotIn(element, kChoosePrefix);
  if (mark)
    table.pinned.emplace(std::pair{familyOf(element.set, NftSetId::pinned4), element.key.mark},
                         PinnedWay{.mark = *mark, .exit = exit.has_value()});
  return mark.has_value();
}

void NftMemberTraits<NftArrival>::elements(const NftArrival& arrival, NftElements& out) {
  out.push_back(ofDevice(byFamily(arrival.family, NftSetId::arrive4), arrival.device));
  out.back().value = NftGoto{arriveChainName(arrival.exit)};
}

bool NftMemberTraits<NftArrival>::take(const NftElement& element, NftTable& table) {
  const auto exit = slotIn(element, kArrivePrefix);
  if (exit) table.arrivals.emplace(std::pair{familyOf(element.set, NftSetId::arrive4), element.key.device}, *exit);
  return exit.has_value();
}

void NftMemberTraits<NftNamedMark>::elements(const NftNamedMark& named, NftElements& out) {
  out.push_back(ofMark(NftSetId::namedMark, named.mark));
}

bool NftMemberTraits<NftNamedMark>::take(const NftElement& element, NftTable& table) {
  table.namedMarks.insert(element.key.mark);
  return true;
}

void NftMemberTraits<NftReset>::elements(const NftReset& reset, NftElements& out) {
  out.push_back(ofMark(byFamily(reset.family, NftSetId::reset4), reset.mark));
  out.back().value = NftGoto{kResetChain};
}

bool NftMemberTraits<NftReset>::take(const NftElement& element, NftTable& table) {
  const auto* to = std::get_if<NftGoto>(&element.value);
  if (to == nullptr || to->chain != kResetChain) return false;
  table.resetting.emplace(familyOf(element.set, NftSetId::reset4), element.key.mark);
  return true;
}

void NftMemberTraits<NftPrefix>::elements(const NftPrefix& own, NftElements& out) {
  out.push_back(ofDevice(NftSetId::prefix6, own.device));
  out.back().key.address = own.prefix.address();
  out.back().key.length = own.prefix.length();
}

bool NftMemberTraits<NftPrefix>::take(const NftElement& element, NftTable& table) {
  table.prefixes.emplace(element.key.device, Prefix{element.key.address, element.key.length});
  return true;
}

void appendElements(const NftMember& member, NftElements& elements) {
  std::visit([&](const auto& one) { NftMemberTraits<std::remove_cvref_t<decltype(one)>>::elements(one, elements); },
             member);
}

bool NftContents::take(const NftElement& element) {
  bool taken = false;
  forEachNftMember([&](auto kind) {
    using Member = typename decltype(kind)::type;
    using Traits = NftMemberTraits<Member>;
    if (std::ranges::find(Traits::kSets, element.set) == Traits::kSets.end()) return;
    taken = Traits::take(element, table);
    if constexpr (kIsInSeveralNftSets<Member>) shared_.insert(element);
  });
  return taken;
}

bool NftContents::consistent() const {
  NftElements expected;
  std::set<Slot> slots;
  for (const auto& [device, slot] : table.wans)
    if (!slots.insert(slot).second) return false;
  forEachNftMember([&](auto kind) {
    using Member = typename decltype(kind)::type;
    using Traits = NftMemberTraits<Member>;
    if constexpr (kIsInSeveralNftSets<Member>)
      for (const auto& entry : Traits::field(table)) Traits::elements(Traits::member(entry), expected);
  });
  return expected.size() == shared_.size() &&
         std::ranges::all_of(expected, [&](const NftElement& element) { return shared_.contains(element); });
}

}  // namespace wgsteer
