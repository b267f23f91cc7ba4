// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/explain.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/common.hpp"
#include "cli/verbs.hpp"

namespace wgsteer::cli {

namespace {

struct Question {
  Packet packet;
  std::optional<PeerId> peer;  ///< whose packet it is, if it is WireGuard's own
};

std::optional<Endpoint> parseDestination(const std::string& text) {
  if (const auto endpoint = Endpoint::parse(text)) return endpoint;
  if (const auto address = Address::parse(text)) return Endpoint{*address, 0};
  return std::nullopt;
}

/// If the destination is a peer's endpoint, the question is about the packet that the peer's tunnel sends.
Question asPeer(const Picture& picture, const Endpoint& destination) {
  for (const auto& [name, tunnel] : picture.world.tunnels)
    for (const Peer& peer : tunnel.peers) {
      if (!peer.endpoint || peer.endpoint->address != destination.address) continue;
      if (destination.port != 0 && destination.port != peer.endpoint->port) continue;
      return {outerPacket(picture.observed, tunnel, *peer.endpoint), PeerId{name, peer.publicKey}};
    }
  return {{.destination = destination, .mark = {}, .source = {}, .outer = false}, {}};
}

std::string verdict(const Walk& walk, bool intoTunnel) {
  switch (walk.outcome) {
    case Outcome::device:
      if (intoTunnel) return "goes into tunnel " + walk.device + ": no peer has this endpoint";
      return "leaves by " + walk.device + (walk.gateway ? " via " + walk.gateway->toString() : "") +
             (walk.source ? " from " + walk.source->toString() : "");
    case Outcome::loop:
      return "LOOP: ends in tunnel " + walk.device;
    case Outcome::dropped:
      return "dropped: would end in tunnel " + walk.device;
    case Outcome::unreachable:
      return "unreachable";
    case Outcome::noRoute:
      return "no route";
    case Outcome::local:
      return "delivered to this host";
  }
  return {};
}

void printWalk(const Question& question, const Walk& walk, const std::string& verdict) {
  const Packet& packet = question.packet;
  printText("to " +
            (packet.destination.port == 0 ? packet.destination.address.toString() : packet.destination.toString()) +
            " mark " + hex(packet.mark.value) +
            (question.peer ? ", peer " + question.peer->key.toString() + " of " + question.peer->tunnel : "") + "\n");
  for (const WalkStep& step : walk.steps) printText((step.matched ? "  * " : "    ") + step.text + "\n");
  const bool loop = walk.outcome == Outcome::loop;
  std::fputs(!colourWanted() ? "" : loop ? "\033[31m" : "\033[32m", stdout);
  printText(verdict);
  std::fputs(colourWanted() ? "\033[0m\n" : "\n", stdout);
}

void printJson(const Question& question, const Walk& walk, const std::string& verdict) {
  using Json = nlohmann::json;
  Json steps = Json::array();
  for (const WalkStep& step : walk.steps) steps.push_back({{"text", step.text}, {"matched", step.matched}});
  print({{"destination", question.packet.destination.toString()},
         {"mark", hex(walk.mark.value)},
         {"tunnel", question.peer ? Json(question.peer->tunnel) : Json(nullptr)},
         {"public_key", question.peer ? Json(question.peer->key.toString()) : Json(nullptr)},
         {"steps", std::move(steps)},
         {"loop", walk.outcome == Outcome::loop},
         {"device", walk.device},
         {"gateway", walk.gateway ? Json(walk.gateway->toString()) : Json(nullptr)},
         {"source", walk.source ? Json(walk.source->toString()) : Json(nullptr)},
         {"verdict", verdict}});
}

}  // namespace

int explain(const Options& options) {
  const auto destination = parseDestination(options.arguments.front());
  if (!destination) {
    std::fprintf(stderr,
                 "wgsteer explain: not an address: %s; write 203.0.113.55, 203.0.113.55:51820 or [2001:db8::1]:51820\n",
                 options.arguments.front().c_str());
    return kUsage;
  }
  const auto source = Address::parse(options.from);
  if (!options.from.empty() && (!source || source->family() != destination->address.family())) {
    std::fprintf(stderr, "wgsteer explain: --from %s: not an address of the destination's family\n",
                 options.from.c_str());
    return kUsage;
  }
  const auto host = lookAtHost(options, {.allRoutes = true});
  if (!host) return report("explain", host.error());

  Question question = asPeer(host->picture, *destination);
  if (options.mark) question.packet.mark = Mark{*options.mark};
  // A packet with a mark of ours is taken for WireGuard's own.
  if ((question.packet.mark.value & host->config.numbers.markMask) != 0) question.packet.outer = true;
  if (source) question.packet.source = source;
  const Walk walk = wgsteer::explain(host->picture.observed, host->picture.world, question.packet);
  const World& world = host->picture.world;
  const Link* link = world.linkNamed(walk.device);
  const std::string said = verdict(walk, link != nullptr && isTunnel(world, *link));
  if (options.json)
    printJson(question, walk, said);
  else
    printWalk(question, walk, said);
  return walk.outcome == Outcome::device || walk.outcome == Outcome::local ? kOk : kSomethingFound;
}

}  // namespace wgsteer::cli
