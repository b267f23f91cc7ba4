// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/stall_watch.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "wgsteer/core/steering.hpp"

namespace wgsteer {

namespace {

struct Usable {
  Slot wan;
  std::string name;
  FamilyMap<bool> families;
};

/// The peer's WANs that can be used now in any family, best first.
std::vector<Usable> usableWans(const Steering& steering, const TunnelView& view, std::size_t peer, Family family) {
  std::vector<const MemberView*> members;
  for (const MemberView& member : steering.policies[view.policyOf(peer)].members) members.push_back(&member);
  const auto given = view.wanOf(peer);
  std::ranges::stable_sort(members, {}, [&](const MemberView* member) {
    return std::tuple{member->wan != given, !serves(steering.wans[member->wan], family), member->metric.at(family)};
  });
  std::vector<Usable> usable;
  for (const MemberView* member : members) {
    const Wan& wan = steering.wans[member->wan];
    Usable one{.wan = wan.slot, .name = wan.name, .families = {}};
    for (const Family each : kFamilies)
      if (serves(wan, each, Need::source)) one.families[each] = true;
    if (!one.families.empty()) usable.push_back(std::move(one));
  }
  return usable;
}

/// Whether the kernel chooses among WANs of equal metric, flow by flow: which one it chose cannot be seen.
bool isChosenByFlow(const Steering& steering, const TunnelView& view, std::size_t peer, Family family) {
  return !view.wanOf(peer) && preferredCandidates(steering, steering.policies[view.policyOf(peer)], family).size() > 1;
}

/// The addresses of the peer's name, `home` first; otherwise its current address.
std::vector<Address> addressesOf(const World& world, const PeerId& id, const Address& endpoint, const Address& home) {
  const auto named = world.named.find(id);
  if (named == world.named.end() || std::ranges::find(named->second.current, endpoint) == named->second.current.end())
    return {endpoint};  // not one of its name: it has roamed and can be reached only there
  std::vector<Address> addresses = named->second.current;
  std::ranges::stable_partition(addresses, [&](const Address& address) { return address == home; });
  return addresses;
}

std::vector<Path> pathsOf(const std::vector<Usable>& wans, const std::vector<Address>& addresses) {
  std::vector<Path> paths;
  for (const Usable& wan : wans)
    for (const Address& address : addresses)
      if (wan.families.contains(address.family())) paths.push_back({wan.wan, address});
  return paths;
}

/// Any number that differs from peer to peer will do.
std::uint32_t numberOf(const PublicKey& key, Instant now) {
  auto number = static_cast<std::uint32_t>(now.count() / 1'000'000'000);
  for (const std::uint8_t byte : key.bytes()) number = number * 31 + byte;
  return number;
}

/// Records the result of one peer's step. `named`: its WAN has to be named even if it is the usual one.
void note(const StallNews& news, const StallAutomaton& automaton, StallPhase before, const std::string& usualWan,
          bool named, Instant now, WallSeconds wallClock, StallOutcome& outcome) {
  const StallPhase phase = automaton.phase();
  const bool back = phase == StallPhase::preferred && before != StallPhase::preferred;
  // Not if a better WAN came up or the one in use went down: that is reported by itself.
  if (back || (news.move != StallMove::none && news.move != StallMove::follow)) outcome.news.push_back(news);
  if (phase == StallPhase::preferred && !named) return;
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - automaton.since());
  const std::string why = automaton.reason(now);
  outcome.stalled[news.peer] = {.wan = news.wan == usualWan && !named ? std::string{} : news.wan,
                                .why = why.empty() ? "does not answer over every WAN of this metric" : why,
                                .since = wallClock - age};
}

}  // namespace

std::string describe(const StallNews& news) {
  const std::string path = news.wan + ", " + news.address.toString();
  switch (news.move) {
    case StallMove::giveUp:
      return "no path works, returning to " + path + " for now";
    case StallMove::tryBetter:
      return "retrying " + path;
    case StallMove::trialFailed:
      return "still no answer, returning to " + path;
    case StallMove::nextAddress:
    case StallMove::nextWan:
      return (news.why.empty() ? "no answer" : news.why) + ": trying " + path;
    case StallMove::none:
    case StallMove::follow:
      break;
  }
  return "answers over its usual path again: " + path;
}

StallOutcome StallWatch::look(const Config& config, const World& world, Instant now, WallSeconds wallClock) {
  // The world as if all peers answered: the usual path does not depend on where they were moved.
  World usual = world;
  usual.stalled.clear();
  const Steering steering = steer(config, usual);
  const std::map<PeerId, Watched> before = std::exchange(watched_, {});
  StallOutcome outcome;
  for (const TunnelView& view : steering.tunnels) {
    const TunnelConfig& tunnel = config.tunnel(view.tunnel->name);
    if (view.server || tunnel.stall == std::chrono::seconds{0}) continue;
    const StallConfig asked{.stall = tunnel.stall, .hold = tunnel.hold};
    for (std::size_t i = 0; i < view.tunnel->peers.size(); ++i) {
      const Peer& peer = view.tunnel->peers[i];
      if (!peer.endpoint || view.leftAlone.contains(i)) continue;
      const PeerId id{view.tunnel->name, peer.publicKey};
      const auto known = before.find(id);
      const bool goesOn = known != before.end() && known->second.config == asked;
      auto& [sameConfig, automaton, home, named] =
          watched_
              .emplace(
                  id, goesOn ? known->second : Watched{.config = asked, .automaton = StallAutomaton{asked}, .home = {}})
              .first->second;
      if (automaton.phase() == StallPhase::preferred) home = peer.endpoint->address;
      const auto wans = usableWans(steering, view, i, peer.endpoint->address.family());
      if (wans.empty()) continue;
      const StallPhase phase = automaton.phase();
      const std::string why = automaton.reason(now);
      const StallStep step = automaton.step({peer.sentBytes, peer.receivedBytes, peer.lastHandshake},
                                            pathsOf(wans, addressesOf(world, id, peer.endpoint->address, home)), now,
                                            numberOf(peer.publicKey, now));
      named = isChosenByFlow(steering, view, i, peer.endpoint->address.family()) &&
              (named || automaton.phase() != StallPhase::preferred);
      const auto wan = std::ranges::find(wans, step.path.wan, &Usable::wan);
      const std::string& name = wan == wans.end() ? wans.front().name : wan->name;
      note({.peer = id, .move = step.move, .wan = name, .address = step.path.address, .why = why}, automaton, phase,
           wans.front().name, named, now, wallClock, outcome);
    }
  }
  return outcome;
}

}  // namespace wgsteer
