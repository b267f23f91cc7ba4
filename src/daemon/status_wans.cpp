// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/status_wans.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace wgsteer {

namespace {

using Json = nlohmann::json;

Json gatewayOf(const Wan& wan, Family family) {
  const auto known = wan.defaults.find(family);
  if (known == wan.defaults.end()) return nullptr;
  const auto& gateway = known->second.front().hops.front().gateway;
  return gateway ? Json(gateway->toString()) : Json(nullptr);
}

template <class Map, class Key>
const typename Map::mapped_type* found(const Map* map, const Key& key) {
  if (map == nullptr) return nullptr;
  const auto known = map->find(key);
  return known == map->end() ? nullptr : &known->second;
}

/// More digits would be meaningless.
double rounded(double value) { return std::round(value * 100) / 100; }

Json targetDocument(const ProbedTarget& target) {
  const auto& [probed, average] = target;
  return {{"address", probed.port == 0 ? probed.address.toString() : probed.toString()},
          {"answered", average.answersNow},
          {"refused", average.refused},
          {"latency_ms", average.answered ? Json(rounded(average.latency.count())) : Json(nullptr)},
          {"loss_percent", average.measured ? Json(rounded(average.loss)) : Json(nullptr)}};
}

/// Means over those targets that have been measured.
void addTargets(Json& document, const std::vector<ProbedTarget>* targets) {
  Milliseconds latency{};
  double loss = 0;
  int answered = 0;
  int measured = 0;
  document["targets"] = Json::array();
  for (const ProbedTarget& target : targets == nullptr ? std::vector<ProbedTarget>{} : *targets) {
    document["targets"].push_back(targetDocument(target));
    if (target.average.answered) latency += target.average.latency, ++answered;
    if (target.average.measured) loss += target.average.loss, ++measured;
  }
  document["latency_ms"] = answered == 0 ? Json(nullptr) : Json(rounded((latency / answered).count()));
  document["loss_percent"] = measured == 0 ? Json(nullptr) : Json(rounded(loss / measured));
}

/// What keeps a WAN from being used, the link first of all; for a usable one, why it counts as working. The verdict's
/// text is current, the steering's is from when the WAN went down.
std::string reasonFor(const Wan& wan, Family family, const WanVerdict* verdict) {
  const bool byVerdict = wan.lack(family) == Lack::nothing;
  const bool agrees = verdict != nullptr && verdict->usable == wan.eligible(family);
  return byVerdict && agrees ? verdict->reason : wan.whyNot(family);
}

const WanVerdict* verdictIn(const WanVerdicts* verdicts, Family family) {
  return verdicts == nullptr ? nullptr : &verdicts->at(family);
}

std::string reasonOf(const Wan& wan, const WanVerdicts* verdicts) {
  for (const Family family : kFamilies)
    if (wan.eligible(family)) return reasonFor(wan, family, verdictIn(verdicts, family));
  // A family that this WAN never had is less informative than one that was lost.
  for (const Family family : kFamilies)
    if (wan.defaults.contains(family)) return reasonFor(wan, family, verdictIn(verdicts, family));
  return reasonFor(wan, Family::v4, verdictIn(verdicts, Family::v4));
}

Json familyDocument(const Wan& wan, Family family, const WanVerdict* verdict, const WanHistory::Times* times) {
  const auto source = wan.source.find(family);
  const bool usable = wan.eligible(family);
  const bool blind = verdict != nullptr && verdict->by == WanVerdict::By::blind && wan.lack(family) == Lack::nothing;
  return {
      {"usable", usable},
      {"offered", wan.lack(family) == Lack::nothing},
      {"state", usable ? "up" : "down"},
      {"why", wan.whyNot(family)},
      {"reason", reasonFor(wan, family, verdict)},
      {"cannot_be_probed", blind},
      {"refused", wan.refused.contains(family) ? Json(wan.refused.at(family)) : Json(nullptr)},
      {"fix", blind ? Json(verdict->fix) : Json(nullptr)},
      {"since", times == nullptr ? Json(nullptr) : Json(sinceEpoch(times->sinceInFamily[std::to_underlying(family)]))},
      {"gateway", gatewayOf(wan, family)},
      {"source", source == wan.source.end() ? Json(nullptr) : Json(source->second.toString())},
      {"metric", wan.metric.at(family)}};
}

}  // namespace

Json wanDocument(const Wan& wan, const Numbers& numbers, const WanFacts* facts) {
  const auto* times = found(facts == nullptr ? nullptr : &facts->times, wan.name);
  const auto* verdicts = found(facts == nullptr ? nullptr : &facts->verdicts, wan.name);
  const auto* handshakes = found(facts == nullptr ? nullptr : &facts->handshakes, wan.slot);
  const bool up = wan.eligible(Family::v4) || wan.eligible(Family::v6);
  Json document{{"name", wan.name},
                {"device", wan.device},
                {"state", up ? "up" : "down"},
                {"reason", reasonOf(wan, verdicts)},
                {"by_hand", verdicts != nullptr && verdicts->at(Family::v4).by == WanVerdict::By::hand},
                {"since", times == nullptr ? Json(nullptr) : Json(sinceEpoch(times->since))},
                {"mark", hex(numbers.mark(wan.slot).value)},
                {"table", numbers.wanTable(wan.slot).value},
                {"weight", wan.weight}};
  document["handshakes"] = handshakes == nullptr
                               ? Json(nullptr)
                               : Json{{"initiations", handshakes->initiations}, {"responses", handshakes->responses}};
  addTargets(document, found(facts == nullptr ? nullptr : &facts->targets, wan.name));
  for (const Family family : kFamilies)
    document[keyOf(family)] = familyDocument(wan, family, verdictIn(verdicts, family), times);
  return document;
}

}  // namespace wgsteer
