// SPDX-License-Identifier: GPL-2.0-or-later
// What the output hook does with a locally generated packet, as far as it matters for a WireGuard socket.
#include "wgsteer/core/explain.hpp"

#include "wgsteer/core/numbers.hpp"

#include "core/routing.hpp"

namespace wgsteer {

namespace {

/// The member of the table that the output chain uses, and its text; none: the packet is left as it is.
struct Member {
  std::optional<Slot> policy;
  const char* map;
};
std::optional<Member> memberFor(const NftState& nft, const Packet& packet) {
  const NftTable& table = nft.table;
  if (const auto flow = table.flows.find({packet.destination, packet.sourcePort}); flow != table.flows.end())
    return Member{flow->second, "flow"};
  const bool marked = (packet.mark.value & nft.layout.markMask) != 0 || table.foreignMarks.contains(packet.mark);
  const auto known = table.endpoints.find(packet.destination);
  // The mark of an owner whom nobody knows yet.
  const bool others =
      packet.mark.value != 0 && packet.sourcePort != 0 && !table.listenPorts.contains(packet.sourcePort);
  if (marked || others || known == table.endpoints.end()) return std::nullopt;
  return Member{known->second, "endpoint"};
}

/// What the output chain does to the packet.
Packet markedByNft(const State& state, const Packet& packet, const IfName& device, std::vector<WalkStep>& steps) {
  if (!state.nft || !state.nft->layout.intact) return packet;
  const auto member = memberFor(*state.nft, packet);
  if (!member) return packet;
  const std::string by = "nft output: " + std::string{member->map} + " matches";
  if (!member->policy) {
    steps.push_back({by + ", left alone", true});
    return packet;
  }
  const MarkMatch policy = Numbers{.markMask = state.nft->layout.markMask}.mark(*member->policy);
  Packet marked = packet;
  marked.mark = stamp(packet.mark, policy);
  if (marked.mark == packet.mark) {
    steps.push_back({by + ", mark already right", true});
    return packet;
  }
  std::string text = by + ", goto policy_" + std::to_string(member->policy->value) + ", mark " + hex(marked.mark.value);
  const auto& sources = state.nft->table.policySources;
  const auto source = sources.find({Mark{policy.value}, packet.destination.address.family()});
  const NftTable& table = state.nft->table;
  const bool wrong = table.tunnels.contains(device) || (packet.source && table.bound.contains(*packet.source));
  if (source != sources.end() && wrong) {
    marked.source = source->second;
    text += ", source " + source->second.toString();
  }
  steps.push_back({std::move(text), true});
  return marked;
}

/// What the source chain does to a packet with a mark of ours that leaves by a WAN.
std::optional<Address> sourceCorrected(const State& state, const Packet& packet, const IfName& device,
                                       std::vector<WalkStep>& steps) {
  if (!state.nft || !state.nft->layout.intact || !packet.source) return packet.source;
  const NftTable& table = state.nft->table;
  if (!table.ownMarks.contains(packet.mark) && !table.foreignMarks.contains(packet.mark)) return packet.source;
  const auto right = table.sources.find({device, packet.destination.address.family()});
  if (right == table.sources.end() || !table.bound.contains(*packet.source) ||
      table.addresses.contains({device, *packet.source}))
    return packet.source;
  steps.push_back({"nft source: " + packet.source->toString() + " is not an address of " + device + ", source set to " +
                       right->second.toString(),
                   true});
  return right->second;
}

bool isDropped(const State& state, Mark mark, const IfName& tunnel) {
  if (!state.nft || !state.nft->layout.intact) return false;
  const NftTable& table = state.nft->table;
  const auto own = table.ownMarks.find(Mark{mark.value & state.nft->layout.markMask});
  return own != table.ownMarks.end() && own->second && table.tunnels.contains(tunnel);
}

Walk walkOf(const Routing& routing, const State& state, const World& world, const Packet& packet) {
  Walk walk;
  Lookup found = routing.lookup(packet, walk.steps);
  walk.mark = packet.mark;
  walk.source = packet.source;
  // A packet without a route never reaches the output hook.
  if (found.outcome == Outcome::device) {
    Packet sent = packet;
    if (!sent.source) sent.source = routing.sourceFor(found, packet.destination.address.family());
    const Link* link = world.link(found.hop->device);
    const IfName device = link == nullptr ? IfName{} : link->name;
    if (link != nullptr) sent.source = sourceCorrected(state, sent, device, walk.steps);
    const Packet marked = markedByNft(state, sent, device, walk.steps);
    walk.mark = marked.mark;
    walk.source = marked.source;
    if (walk.mark != packet.mark) found = routing.lookup(marked, walk.steps);
  }
  walk.outcome = found.outcome;
  walk.route = found.route;
  if (found.outcome != Outcome::device) return walk;

  const Link* link = world.link(found.hop->device);
  walk.device = routing.names()(found.hop->device);
  walk.gateway = found.hop->gateway;
  if (link == nullptr || !isTunnel(world, *link)) return walk;
  if (!isDropped(state, walk.mark, link->name)) {
    walk.outcome = packet.outer ? Outcome::loop : Outcome::device;
    return walk;
  }
  walk.outcome = Outcome::dropped;
  walk.steps.push_back({"nft sent: marked packet would enter a tunnel, dropped", true});
  return walk;
}

}  // namespace

Walk explain(const State& state, const World& world, const Packet& packet) {
  return walkOf(Routing{state, world}, state, world, packet);
}

std::vector<Walk> explain(const State& state, const World& world, std::span<const Packet> packets) {
  const Routing routing{state, world};
  std::vector<Walk> walks;
  for (const Packet& packet : packets) walks.push_back(walkOf(routing, state, world, packet));
  return walks;
}

Packet outerPacket(const State& state, const Tunnel& tunnel, const Endpoint& endpoint) {
  const auto ours = state.tunnelMarks.find(tunnel.name);
  return {.destination = endpoint,
          .mark = ours == state.tunnelMarks.end() ? tunnel.fwmark : ours->second,
          .source = {},
          .sourcePort = tunnel.listenPort};
}

}  // namespace wgsteer
