// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/explain.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/common.hpp"
#include "cli/endpoint_text.hpp"
#include "cli/verbs.hpp"
#include "cli/walk_text.hpp"

namespace wgsteer::cli {

namespace {

struct Question {
  Packet packet;
  std::optional<PeerId> peer;  ///< whose packet it is, if it is WireGuard's own
};

/// If the destination is a peer's endpoint, the question is about the packet that the peer's tunnel sends; of several
/// tunnels with that peer, about each one's.
std::vector<Question> questionsAbout(const Picture& picture, const Endpoint& destination) {
  std::vector<Question> questions;
  for (const auto& [name, tunnel] : picture.world.tunnels)
    for (const Peer& peer : tunnel.peers) {
      if (!peer.endpoint || peer.endpoint->address != destination.address) continue;
      if (destination.port != 0 && destination.port != peer.endpoint->port) continue;
      questions.push_back({outerPacket(picture.observed, tunnel, *peer.endpoint), PeerId{name, peer.publicKey}});
    }
  if (questions.empty())
    questions.push_back({{.destination = destination, .mark = {}, .source = {}, .outer = false}, {}});
  return questions;
}

void printWalk(const Question& question, const Walk& walk, const std::string& verdict) {
  const Packet& packet = question.packet;
  printText("to " +
            (packet.destination.port == 0 ? packet.destination.address.toString() : packet.destination.toString()) +
            " mark " + hex(packet.mark.value) +
            (question.peer ? ", peer " + question.peer->key.toString() + " of " + question.peer->tunnel : "") + "\n");
  printSteps(walk);
  printVerdict(verdict, walk.outcome != Outcome::loop);
}

nlohmann::json document(const Question& question, const Walk& walk, const std::string& verdict) {
  using Json = nlohmann::json;
  return {{"destination", question.packet.destination.toString()},
          {"mark", hex(walk.mark.value)},
          {"tunnel", question.peer ? Json(question.peer->tunnel) : Json(nullptr)},
          {"public_key", question.peer ? Json(question.peer->key.toString()) : Json(nullptr)},
          {"steps", stepsOf(walk)},
          {"loop", walk.outcome == Outcome::loop},
          {"device", walk.device},
          {"gateway", walk.gateway ? Json(walk.gateway->toString()) : Json(nullptr)},
          {"source", walk.source ? Json(walk.source->toString()) : Json(nullptr)},
          {"verdict", verdict}};
}

/// What the command line says about the packets, which otherwise are the tunnels'.
void adjust(const Options& options, const std::optional<Address>& source, const Config& config,
            std::vector<Question>& questions) {
  for (auto& [packet, peer] : questions) {
    if (options.mark) packet.mark = Mark{*options.mark};
    // A packet with a mark of ours is taken for WireGuard's own.
    if ((packet.mark.value & config.numbers.markMask) != 0) packet.outer = true;
    if (source) packet.source = source;
  }
}

/// In JSON, the first one's document has the others.
int answer(const std::vector<Question>& questions, const Host& host, bool json) {
  const World& world = host.picture.world;
  nlohmann::json all = nlohmann::json::array();
  bool good = true;
  std::vector<Packet> packets;
  for (const Question& question : questions) packets.push_back(question.packet);
  const auto walks = wgsteer::explain(host.picture.observed, world, packets);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Question& question = questions[i];
    const Walk& walk = walks[i];
    const Link* link = world.linkNamed(walk.device);
    const bool intoTunnel = walk.outcome == Outcome::device && link != nullptr && isTunnel(world, *link);
    const std::string said =
        intoTunnel ? "goes into tunnel " + walk.device + ": no peer has this endpoint" : verdictOf(walk);
    good &= walk.outcome == Outcome::device || walk.outcome == Outcome::local;
    if (json)
      all.push_back(document(question, walk, said));
    else
      printWalk(question, walk, said);
  }
  if (json) {
    nlohmann::json first = all.front();
    all.erase(all.begin());
    first["others"] = std::move(all);
    print(first);
  }
  return good ? kOk : kSomethingFound;
}

}  // namespace

int explain(const Options& options) {
  if (!options.proto.empty() || !options.in.empty() || !options.mac.empty() || !options.dscp.empty())
    return explainTraffic(options);
  const auto destination = destinationOf(options);
  if (!destination) return kUsage;
  std::optional<Address> source;
  if (!options.from.empty()) {
    const auto from = sourceIn(options.from, destination->address.family(), SourcePorts::no);
    if (!from) {
      std::fprintf(stderr, "wgsteer explain: --from: %s: %s\n", options.from.c_str(), from.error().c_str());
      return kUsage;
    }
    source = from->address;
  }
  const auto host = lookAtHost(options, {.allRoutes = true});
  if (!host) return report("explain", host.error());

  auto questions = questionsAbout(host->picture, *destination);
  adjust(options, source, host->config, questions);
  return answer(questions, *host, options.json);
}

}  // namespace wgsteer::cli
