// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/journal.hpp"

#include <nlohmann/json.hpp>

#include "engine/failure_text.hpp"
#include "log/log.hpp"
#include "os/process_name.hpp"
#include "os/timer.hpp"

namespace wgsteer {

namespace {

using Json = nlohmann::json;

std::string nameOf(const InUse& use) {
  if (use.wan.empty()) return "none";
  return use.source ? use.wan + " (" + use.source->toString() + ")" : use.wan;
}

Json documentOf(const InUse& use) {
  return {{"wan", use.wan.empty() ? Json(nullptr) : Json(use.wan)},
          {"source", use.source ? Json(use.source->toString()) : Json(nullptr)}};
}

std::string nameOf(const PeerId& peer) { return peer.tunnel + ": peer " + peer.key.toString(); }

const char* stateOf(const WanVerdict& verdict) { return verdict.usable ? "up" : "down"; }

/// The program behind a netlink port: a process's first socket has its process id, further ones have random numbers.
std::string culprit(const Event& event) {
  std::uint32_t port = 0;
  if (const auto* route = std::get_if<RouteGone>(&event)) port = route->port;
  if (const auto* rule = std::get_if<RuleGone>(&event)) port = rule->port;
  const std::string program = port == 0 ? "" : os::processName(port);
  return program.empty() ? "" : " (" + program + ")";
}

}  // namespace

Engine::Observer Journal::observer() {
  return {
      .occasion = [this](const Occasion& occasion, const DeviceName& names) { this->occasion(occasion, names); },
      .failed = [this](const Change& change, const Error& error,
                       const DeviceName& names) { fail(failureText(change, error, names)); },
      .moved = [this](const Move& move) { moved(move); },
      .endpointMoved = [this](const PeerId& peer, const NamedPeer& named, const std::optional<Endpoint>& before,
                              const Endpoint& now) { endpointMoved(peer, named, before, now); },
      .stalled = [this](const StallNews& news) { stalled(news); },
      .overrun = [this](bool ofNft) { overrun(ofNft); },
      .culled =
          [](MarkMatch mark, const std::string& why) {
            log::info("connections with the mark " + mark.toString() + " are routed again: " + why);
          },
      .retranslated =
          [](std::size_t count) {
            log::info(std::to_string(count) +
                      " connections are routed again: they were translated to the address of another WAN than theirs");
          },
      .drained =
          [](MarkMatch mark, std::size_t count) {
            log::info(std::to_string(count) + " idle connections with the mark " + mark.toString() +
                      " are routed again, over a better WAN");
          },
      .deprecated = [this](const SetDeprecated& set, const std::string& wan,
                           const DeviceName& names) { deprecated(set, wan, names); },
      .fight = [this](const Event& last, const DeviceName& names) { fight(last, names); },
      .trouble = [this](const Error& error) { fail(error.toString()); },
      .looked = [](const std::string& untold, Duration took) { looked(untold, took); },
      .steered = {},
  };
}

void Journal::occasion(const Occasion& occasion, const DeviceName& names) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(occasion.took).count();
  const std::size_t changes = lineCount(occasion.plan.changes);
  if (occasion.failed == 0 && occasion.plan.heldBack.empty()) said_.clear();
  if (log::enabled(LogLevel::debug)) {
    for (const Event& event : occasion.heard) log::debug(describe(event, names));
    for (const std::string& line : describe(occasion.plan, names)) log::debug("- " + line);
  }
  if (changes > 0 && occasion.failed == 0)
    throttle_.offer("applied",
                    "applied " + std::to_string(changes) + (changes == 1 ? " change" : " changes") + " in " +
                        std::to_string(took) + " us (" +
                        std::string{kTriggerNames[std::to_underlying(occasion.trigger)]} + ")",
                    os::monotonicNow(), log::info);
  if (!watchers_.watched || !watchers_.watched()) return;
  Json heard = Json::array();
  for (const Event& event : occasion.heard) heard.push_back(describe(event, names));
  publish("occasion", {{"trigger", kTriggerNames[std::to_underlying(occasion.trigger)]},
                       {"heard", std::move(heard)},
                       {"changes", describe(occasion.plan, names)},
                       {"failed", occasion.failed},
                       {"took_us", took}});
}

void Journal::moved(const Move& move) {
  const std::string family = nameOf(move.family);
  tell("moved", move.tunnel + " " + family,
       move.tunnel + ": " + family + " now leaves by " + nameOf(move.now) + ", previously by " + nameOf(move.before) +
           (move.why.empty() ? "" : ": " + move.why),
       {{"tunnel", move.tunnel},
        {"family", family},
        {"from", documentOf(move.before)},
        {"to", documentOf(move.now)},
        {"why", move.why}});
}

void Journal::endpointMoved(const PeerId& peer, const NamedPeer& named, const std::optional<Endpoint>& before,
                            const Endpoint& now) {
  const std::string from = before ? before->toString() : "none";
  tell("endpoint", nameOf(peer),
       nameOf(peer) + " endpoint is now " + now.toString() + " (" + named.host + "), previously " + from,
       {{"tunnel", peer.tunnel},
        {"peer", peer.key.toString()},
        {"host", named.host},
        {"from", from},
        {"to", now.toString()}});
}

void Journal::stalled(const StallNews& news) {
  tell("stalled", nameOf(news.peer), nameOf(news.peer) + ": " + describe(news),
       {{"tunnel", news.peer.tunnel},
        {"peer", news.peer.key.toString()},
        {"wan", news.wan},
        {"address", news.address.toString()}});
}

void Journal::deprecated(const SetDeprecated& set, const std::string& wan, const DeviceName& names) {
  const std::string address = set.own.address.toString();
  const std::string of = wan.empty() ? "" : " (WAN " + wan + ")";
  tell("deprecated", address,
       names(set.own.device) + ": " + address + of + (set.on ? " is deprecated" : " has its preferred lifetime back"),
       {{"address", address},
        {"device", names(set.own.device)},
        {"wan", wan.empty() ? Json(nullptr) : Json(wan)},
        {"deprecated", set.on}});
}

/// The same line for the log and for `monitor`.
void Journal::tell(const char* kind, const std::string& subject, const std::string& line, Json details,
                   LogLevel level) {
  throttle_.offer(std::string{kind} + " " + subject, line, os::monotonicNow(),
                  level == LogLevel::warn ? log::warn : log::info);
  details["text"] = line;
  publish(kind, std::move(details));
}

/// "state" and "reason" are those of the WAN as a whole: it is up if it is up in one family.
void Journal::wan(const std::string& name, const WanVerdicts& before, const WanVerdicts& now) {
  const Family family = now.at(Family::v4).usable || !now.at(Family::v6).usable ? Family::v4 : Family::v6;
  Json details{{"name", name}, {"state", stateOf(now.at(family))}, {"reason", now.at(family).reason}};
  bool blind = false;
  for (const auto& [each, verdict] : now) {
    details[keyOf(each)] = {{"state", stateOf(verdict)}, {"reason", verdict.reason}};
    blind |= verdict.by == WanVerdict::By::blind && before.at(each).by != verdict.by;
  }
  tell("wan", name, "WAN " + name + describe(before, now), std::move(details), blind ? LogLevel::warn : LogLevel::info);
}

void Journal::overrun(bool ofNft) {
  const std::string line = ofNft ? "nftables events were lost: the table is read again"
                                 : "netlink events were lost: everything is read again";
  throttle_.offer(line, line, os::monotonicNow(), log::warn);
}

void Journal::fight(const Event& last, const DeviceName& names) {
  const std::string line =
      "another program keeps deleting our state; repairs are now rate-limited. Last: " + describe(last, names) +
      culprit(last);
  throttle_.offer("fight", line, os::monotonicNow(), log::warn);
  publish("fight", line);
}

void Journal::looked(const std::string& untold, Duration took) {
  const auto micros = std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
  if (!untold.empty())
    log::info("read the kernel state again, found an unannounced change: " + untold);
  else if (log::enabled(LogLevel::debug))
    log::debug("read the kernel state again in " + micros + " us, no unannounced changes");
}

void Journal::fail(const std::string& line) {
  if (!said_.insert(line).second) return;
  throttle_.offer("error " + line, line, os::monotonicNow(), log::error);
  publish("error", line);
}

void Journal::catchUp() { throttle_.catchUp(os::monotonicNow()); }

void Journal::publish(const char* kind, Json what) {
  if (!watchers_.watched || !watchers_.watched()) return;
  watchers_.publish({{"time", os::wallClockMilliseconds()}, {kind, std::move(what)}});
}

}  // namespace wgsteer
