// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/metrics_text.hpp"

#include <array>
#include <cstdio>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "wgsteer/core/histogram.hpp"

#include "log/printable.hpp"

namespace wgsteer {

namespace {

using Json = nlohmann::json;
using Label = std::pair<const char*, std::string>;
using Labels = std::vector<Label>;

/// The format knows no other escapes, and a terminal would obey control characters in a device's name: `printable`
/// writes these out first, and its backslashes are then escaped as any others.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char each : log::printable(text)) {
    if (each == '\\' || each == '"') out += '\\';
    out += each;
  }
  return out;
}

/// 15 digits: exact for any realistic count of bytes or microseconds.
std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.15g", value);
  return text.data();
}

/// One metric; the format requires its samples to be adjacent.
class Metric {
 public:
  Metric(std::string& out, std::string name, const char* type, const char* help) : out_(out), name_(std::move(name)) {
    out_ += "# HELP " + name_ + " " + help + "\n# TYPE " + name_ + " " + type + "\n";
  }

  void sample(const Labels& labels, double value, const char* suffix = "") {
    out_ += name_ + suffix;
    const char* before = "{";
    for (const auto& [name, text] : labels) {
      out_ += std::string{before} + name + "=\"" + escaped(text) + "\"";
      before = ",";
    }
    out_ += (labels.empty() ? " " : "} ") + number(value) + "\n";
  }

  /// Writes nothing if the value is not known.
  void sample(const Labels& labels, const Json& value, double unit = 1) {
    if (value.is_number()) sample(labels, value.get<double>() * unit);
    if (value.is_boolean()) sample(labels, value.get<bool>() ? 1.0 : 0.0);
  }

 private:
  std::string& out_;
  std::string name_;
};

std::string textOf(const Json& object, const char* key) {
  const Json value = object.value(key, Json{});
  return value.is_string() ? value.get<std::string>() : std::string{};
}

Json memberOf(const Json& object, const char* key) { return object.value(key, Json{}); }

constexpr std::array kFamilyKeys{"ipv4", "ipv6"};
constexpr double kPerMillisecond = 1e-3;
constexpr double kPerMicrosecond = 1e-6;
constexpr double kPerPercent = 1e-2;

Labels of(const Json& wan) { return {{"wan", textOf(wan, "name")}, {"device", textOf(wan, "device")}}; }

Labels with(Labels labels, const char* name, std::string value) {
  labels.emplace_back(name, std::move(value));
  return labels;
}

void addWans(std::string& out, const Json& wans) {
  Metric up{out, "wgsteer_wan_up", "gauge", "Whether the WAN is used in this family."};
  for (const Json& wan : wans)
    for (const char* family : kFamilyKeys)
      up.sample(with(of(wan), "family", family), memberOf(memberOf(wan, family), "usable"));
  Metric refused{out, "wgsteer_wan_probes_refused", "gauge", "Whether this host blocks its own probes."};
  for (const Json& wan : wans)
    for (const char* family : kFamilyKeys)
      refused.sample(with(of(wan), "family", family), memberOf(memberOf(wan, family), "cannot_be_probed"));
  Metric since{out, "wgsteer_wan_state_change_timestamp_seconds", "gauge", "When the WAN went up or down."};
  for (const Json& wan : wans) since.sample(of(wan), memberOf(wan, "since"));
  Metric byHand{out, "wgsteer_wan_by_hand", "gauge", "Whether an override of `wgsteer wan` is in force."};
  for (const Json& wan : wans) byHand.sample(of(wan), memberOf(wan, "by_hand"));
  Metric latency{out, "wgsteer_wan_latency_seconds", "gauge", "Average answer time of the WAN's targets."};
  for (const Json& wan : wans) latency.sample(of(wan), memberOf(wan, "latency_ms"), kPerMillisecond);
  Metric loss{out, "wgsteer_wan_loss_ratio", "gauge", "Average share of probes without an answer, 0 to 1."};
  for (const Json& wan : wans) loss.sample(of(wan), memberOf(wan, "loss_percent"), kPerPercent);
  Metric initiations{out, "wgsteer_wan_handshake_initiations_total", "counter", "Handshakes begun over the WAN."};
  for (const Json& wan : wans)
    if (const Json handshakes = memberOf(wan, "handshakes"); handshakes.is_object())
      initiations.sample(of(wan), memberOf(handshakes, "initiations"));
  Metric responses{out, "wgsteer_wan_handshake_responses_total", "counter", "Handshakes answered over the WAN."};
  for (const Json& wan : wans)
    if (const Json handshakes = memberOf(wan, "handshakes"); handshakes.is_object())
      responses.sample(of(wan), memberOf(handshakes, "responses"));
}

void addPolicies(std::string& out, const Json& policies) {
  Metric wan{out, "wgsteer_policy_wan_info", "gauge", "WAN that the policy uses; empty if none."};
  for (const Json& policy : policies)
    for (const char* family : kFamilyKeys)
      wan.sample({{"policy", textOf(policy, "name")}, {"family", family}, {"wan", textOf(policy, family)}}, 1.0);
}

/// Only with rules for any traffic.
void addRules(std::string& out, const Json& status) {
  if (!status.contains("rules")) return;
  Metric matched{out, "wgsteer_rule_connections_total", "counter", "New connections that the rule matched."};
  for (const Json& rule : status.at("rules"))
    matched.sample({{"rule", textOf(rule, "name")}}, memberOf(rule, "connections"));
  Metric pinned{out, "wgsteer_exit_connections", "gauge", "Connections that stay on the WAN until they end."};
  for (const Json& exit : memberOf(status, "exits"))
    pinned.sample({{"wan", textOf(exit, "wan")}}, memberOf(exit, "connections"));
}

void addPeers(std::string& out, const Json& tunnels) {
  const auto forEach = [&](const auto& visit) {
    for (const Json& tunnel : tunnels)
      for (const Json& peer : memberOf(tunnel, "peers"))
        visit(peer, Labels{{"interface", textOf(tunnel, "interface")}, {"public_key", textOf(peer, "public_key")}});
  };
  Metric wan{out, "wgsteer_peer_wan_info", "gauge", "WAN that packets to the peer leave by; empty if none."};
  forEach([&](const Json& peer, const Labels& labels) { wan.sample(with(labels, "wan", textOf(peer, "wan")), 1.0); });
  Metric age{out, "wgsteer_peer_handshake_age_seconds", "gauge", "Time since the last handshake."};
  forEach([&](const Json& peer, const Labels& labels) { age.sample(labels, memberOf(peer, "handshake_age")); });
  Metric stalled{out, "wgsteer_peer_stalled", "gauge",
                 "Whether the peer uses another path because it does not answer."};
  forEach([&](const Json& peer, const Labels& labels) {
    stalled.sample(labels, memberOf(peer, "stalled").is_object() ? 1.0 : 0.0);
  });
  Metric received{out, "wgsteer_peer_received_bytes_total", "counter",
                  "Bytes received from the peer, as WireGuard counts them."};
  forEach([&](const Json& peer, const Labels& labels) { received.sample(labels, memberOf(peer, "received")); });
  Metric sent{out, "wgsteer_peer_sent_bytes_total", "counter", "Bytes sent to the peer, as WireGuard counts them."};
  forEach([&](const Json& peer, const Labels& labels) { sent.sample(labels, memberOf(peer, "sent")); });
}

/// Writes every bound in each scrape; otherwise quantiles of a rate would be wrong.
void addHistogram(Metric& metric, const std::string& kind, const Json& applied) {
  const Json buckets = memberOf(applied, "buckets");
  double below = 0;
  for (const std::int64_t bound : Histogram::kBoundsInMicroseconds) {
    below = buckets.value(std::to_string(bound), below);
    metric.sample({{"kind", kind}, {"le", number(static_cast<double>(bound) * kPerMicrosecond)}}, below, "_bucket");
  }
  metric.sample({{"kind", kind}, {"le", "+Inf"}}, applied.at("count").get<double>(), "_bucket");
  metric.sample({{"kind", kind}}, applied.at("sum").get<double>() * kPerMicrosecond, "_sum");
  metric.sample({{"kind", kind}}, applied.at("count").get<double>(), "_count");
}

struct DaemonCounter {
  const char* name;
  const char* member;
  const char* help;
};

constexpr auto kDaemonCounters = std::to_array<DaemonCounter>({
    {"wgsteer_events_total", "events", "Wake-ups with relevant events."},
    {"wgsteer_plans_total", "plans", "Plans with changes."},
    {"wgsteer_changes_total", "changes", "Changes made in the kernel."},
    {"wgsteer_foreseen_total", "foreseen", "Events whose first writes were prepared in advance."},
    {"wgsteer_failures_total", "failures", "Changes that failed."},
    {"wgsteer_resyncs_total", "resyncs", "Times that everything was read again."},
    {"wgsteer_overruns_total", "overruns", "Times that kernel events were lost and everything was read again."},
    {"wgsteer_failovers_total", "failovers", "Times that a tunnel moved to another WAN."},
    {"wgsteer_fights_total", "fights", "Times that another program kept deleting our state."},
});

void addDaemon(std::string& out, const Json& daemon) {
  Metric started{out, "wgsteer_start_time_seconds", "gauge", "When the daemon started, since the epoch."};
  started.sample({}, memberOf(daemon, "started"));
  for (const DaemonCounter& counter : kDaemonCounters) {
    Metric metric{out, counter.name, "counter", counter.help};
    metric.sample({}, memberOf(daemon, counter.member));
  }
  Metric applied{out, "wgsteer_event_to_applied_seconds", "histogram",
                 "Time from an event to the last change made for it, by kind of event."};
  const Json byKind = memberOf(daemon, "applied_us");
  for (const auto& [kind, document] : byKind.items()) addHistogram(applied, kind, document);
}

}  // namespace

std::string metricsText(const Json& status) {
  std::string out;
  const Json daemon = memberOf(status, "daemon");
  Metric{out, "wgsteer_up", "gauge", "Whether the daemon is running."}.sample({}, daemon.is_object() ? 1.0 : 0.0);
  Metric{out, "wgsteer_build_info", "gauge", "Version of the program."}.sample({{"version", WGSTEER_VERSION}}, 1.0);
  Metric{out, "wgsteer_pending_changes", "gauge", "Pending changes; 0 when the kernel is up to date."}.sample(
      {}, memberOf(status, "pending"));
  addWans(out, status.at("wans"));
  addPolicies(out, status.at("policies"));
  addRules(out, status);
  addPeers(out, status.at("tunnels"));
  if (daemon.is_object()) addDaemon(out, daemon);
  return out;
}

}  // namespace wgsteer
