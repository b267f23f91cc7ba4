// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/status.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/endpoint_moves.hpp"
#include "wgsteer/core/explain.hpp"
#include "wgsteer/core/in_use.hpp"
#include "wgsteer/core/plan.hpp"

#include "daemon/status_rules.hpp"
#include "daemon/status_wans.hpp"

namespace wgsteer {

namespace {

using Json = nlohmann::json;

Json policyDocument(const Steering& steering, const PolicyView& policy, const Numbers& numbers) {
  Json document{{"name", policy.name},
                {"role", policy.server ? "server" : "client"},
                {"mark", hex(numbers.mark(policy.target.slot).value)},
                {"table", policy.target.table.value},
                {"last_resort", policy.lastResort == LastResort::main ? "main" : "unreachable"},
                {"wans", Json::array()}};
  for (const MemberView& member : policy.members) document["wans"].push_back(steering.wans[member.wan].name);
  for (const Family family : kFamilies) document[keyOf(family)] = inUse(steering, policy, family).wan;
  return document;
}

const char* outcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::device:
      return "ok";
    case Outcome::loop:
      return "loop";
    case Outcome::dropped:
      return "dropped";
    case Outcome::unreachable:
      return "unreachable";
    case Outcome::noRoute:
      return "no route";
    case Outcome::local:
      return "local";
  }
  return "";
}

bool isBehind(const Wan& wan, const std::optional<Address>& gateway) {
  return std::ranges::any_of(kFamilies, [&](Family family) { return wan.isBehind(gateway, family); });
}

/// The WAN that has the device, and the gateway if several have it: the name that the configuration knows it by.
Json wanOf(const Steering& steering, const Walk& walk) {
  const Wan* found = nullptr;
  for (const Wan& wan : steering.wans)
    if (!walk.device.empty() && wan.device == walk.device && (found == nullptr || isBehind(wan, walk.gateway)))
      found = &wan;
  return found == nullptr ? Json(nullptr) : Json(found->name);
}

Json walkDocument(const State& state, const World& world, const Steering& steering, const Tunnel& tunnel,
                  const Endpoint& endpoint) {
  const Walk walk = explain(state, world, outerPacket(state, tunnel, endpoint));
  return {{"path", outcomeName(walk.outcome)},
          {"device", walk.device},
          {"wan", wanOf(steering, walk)},
          {"source", walk.source ? Json(walk.source->toString()) : Json(nullptr)}};
}

/// `planned` is the state once the plan has been carried out, if that differs from the current state.
Json peerDocument(const Picture& picture, const State* planned, const Steering& steering, const TunnelView& view,
                  std::size_t index, WallSeconds now) {
  const Tunnel& tunnel = *view.tunnel;
  const Peer& peer = tunnel.peers[index];
  Json document{{"public_key", peer.publicKey.toString()},
                {"policy", steering.policies[view.policyOf(index)].name},
                {"balanced", view.wanOf(index) && !picture.world.stalled.contains({tunnel.name, peer.publicKey})},
                {"endpoint", nullptr},
                {"host", nullptr},
                {"stalled", nullptr},
                {"left_alone", nullptr},
                {"handshake_age", peer.lastHandshake == WallSeconds{}
                                      ? Json(nullptr)
                                      : Json(std::max<std::int64_t>(0, (now - peer.lastHandshake).count()))},
                {"received", peer.receivedBytes},
                {"sent", peer.sentBytes}};
  if (const auto named = picture.world.named.find({tunnel.name, peer.publicKey}); named != picture.world.named.end())
    document["host"] = named->second.host;
  if (const auto stalled = picture.world.stalled.find({tunnel.name, peer.publicKey});
      stalled != picture.world.stalled.end())
    document["stalled"] = {{"wan", stalled->second.wan.empty() ? Json(nullptr) : Json(stalled->second.wan)},
                           {"why", stalled->second.why},
                           {"since", sinceEpoch(stalled->second.since)}};
  if (const auto alone = view.leftAlone.find(index); alone != view.leftAlone.end())
    document["left_alone"] = alone->second;
  if (!peer.endpoint) return document;
  document["endpoint"] = peer.endpoint->toString();
  // What the kernel does, and what it should do if that differs.
  const Json walk = walkDocument(picture.observed, picture.world, steering, tunnel, *peer.endpoint);
  document.update(walk);
  document["planned"] = nullptr;
  if (planned != nullptr)
    if (Json other = walkDocument(*planned, picture.world, steering, tunnel, *peer.endpoint); other != walk)
      document["planned"] = std::move(other);
  return document;
}

Json tunnelDocument(const Picture& picture, const State* planned, const Steering& steering, const TunnelView& view,
                    WallSeconds now) {
  const Tunnel& tunnel = *view.tunnel;
  Json document{{"interface", tunnel.name},
                {"backend", tunnel.backend == TunnelBackend::kernel ? "kernel" : "userspace"},
                {"role", view.server ? "server" : "client"},
                {"policy", steering.policies[view.policy].name},
                {"fwmark", hex(tunnel.fwmark.value)},
                {"fwmark_owner", view.fwmark == FwmarkUse::ours ? "wgsteer" : "user"},
                {"listen_port", tunnel.listenPort},
                {"peers", Json::array()}};
  for (std::size_t i = 0; i < tunnel.peers.size(); ++i)
    document["peers"].push_back(peerDocument(picture, planned, steering, view, i, now));
  return document;
}

/// Time from receiving an event to the last change made for it, by kind of event. "buckets" is cumulative, as in
/// Prometheus, with the upper bounds that are in use.
Json appliedDocument(const EngineStatistics& statistics) {
  const auto microseconds = [](Duration duration) { return duration.count() / 1000; };
  Json document = Json::object();
  for (std::size_t kind = 0; kind < kTriggerNames.size(); ++kind) {
    const Histogram& histogram = statistics.applied[kind];
    if (histogram.count() == 0) continue;
    Json buckets = Json::object();
    std::uint32_t below = 0;
    for (std::size_t i = 0; i < Histogram::kBoundsInMicroseconds.size(); ++i)
      if (histogram.buckets()[i] > 0)
        buckets[std::to_string(Histogram::kBoundsInMicroseconds[i])] = below += histogram.buckets()[i];
    document[std::string{kTriggerNames[kind]}] = {{"count", histogram.count()},
                                                  {"sum", microseconds(histogram.sum())},
                                                  {"p50", microseconds(histogram.quantile(0.5))},
                                                  {"p99", microseconds(histogram.quantile(0.99))},
                                                  {"max", microseconds(histogram.longest())},
                                                  {"buckets", std::move(buckets)}};
  }
  return document;
}

Json daemonDocument(const std::optional<DaemonFacts>& daemon) {
  if (!daemon) return nullptr;
  const EngineStatistics& statistics = daemon->statistics;
  Json lastReload;
  if (const auto& last = daemon->lastReload)
    lastReload = {{"time", sinceEpoch(last->at)},
                  {"at_start", last->atStart},
                  {"error", last->error ? Json(*last->error) : Json(nullptr)}};
  return {{"pid", daemon->pid},
          {"started", sinceEpoch(daemon->startedAt)},
          {"last_reload", std::move(lastReload)},
          {"events", statistics.wakeUps},
          {"plans", statistics.plans},
          {"changes", statistics.changes},
          {"foreseen", statistics.foreseen},
          {"failures", statistics.failures},
          {"resyncs", statistics.resyncs},
          {"overruns", statistics.overruns},
          {"failovers", statistics.failovers},
          {"fights", statistics.fights},
          {"applied_us", appliedDocument(statistics)}};
}

Json deprecatedDocument(const Picture& picture, const Steering& steering) {
  const DeviceName names = deviceNames(picture.world);
  Json document = Json::array();
  for (const auto& [own, preferred] : picture.observed.deprecated) {
    const Wan* wan = wanDelegating(steering, own.address);
    document.push_back({{"prefix", Prefix{own.address, own.prefixLength}.toString()},
                        {"address", own.address.toString()},
                        {"device", names(own.device)},
                        {"wan", wan == nullptr ? Json(nullptr) : Json(wan->name)}});
  }
  return document;
}

}  // namespace

nlohmann::json statusDocument(const Config& config, const Picture& picture, const std::optional<DaemonFacts>& daemon,
                              const MatchesByRule& matches, WallSeconds now) {
  const Steering steering = steer(config, picture.world);
  const Plan due = diff(desire(config, picture.world, steering), picture.observed);
  std::optional<State> planned;
  if (!due.changes.empty()) apply(planned.emplace(picture.observed), due);
  Json document{{"version", kStatusVersion},
                {"time", sinceEpoch(now)},
                {"daemon", daemonDocument(daemon)},
                {"pending", lineCount(due.changes) + endpointMoves(config, picture.world, steering, now).size()},
                {"wans", Json::array()},
                {"policies", Json::array()},
                {"tunnels", Json::array()},
                {"tunnel_troubles", picture.world.tunnelTroubles},
                {"deprecated", deprecatedDocument(picture, steering)},
                {"problems", steering.problems},
                {"notes", steering.notes}};
  for (const Wan& wan : steering.wans)
    document["wans"].push_back(wanDocument(wan, config.numbers, daemon ? &daemon->wans : nullptr));
  for (const PolicyView& policy : steering.policies)
    document["policies"].push_back(policyDocument(steering, policy, config.numbers));
  for (const TunnelView& view : steering.tunnels)
    document["tunnels"].push_back(tunnelDocument(picture, planned ? &*planned : nullptr, steering, view, now));
  addRules(config, picture.world, steering, matches, document);
  return document;
}

}  // namespace wgsteer
