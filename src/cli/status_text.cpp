// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/status_text.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/table.hpp"
#include "cli/wan_text.hpp"

namespace wgsteer::cli {

namespace {

using Json = nlohmann::json;

/// The peer's WAN, marked if it was chosen among equal ones.
std::string wanOf(const Json& peer) {
  if (!peer.value("left_alone", Json(nullptr)).is_null()) return "(left alone)";
  if (!peer.contains("wan")) return "-";
  return text(peer.at("wan")) + (peer.value("balanced", false) ? " (balanced)" : "");
}

std::string leavesBy(const Json& peer) {
  if (!peer.contains("path")) return "-";
  const std::string path = text(peer.at("path"));
  if (path == "ok") return text(peer.at("device"));
  return path == "loop" ? "LOOP: " + text(peer.at("device")) : path;
}

std::string tunnels(const Json& document, std::size_t width) {
  std::vector<Row> rows{{"TUNNEL", "ROLE", "PEER", "ENDPOINT", "POLICY", "WAN", "LEAVES BY", "SOURCE", "HANDSHAKE"}};
  for (const Json& tunnel : document.at("tunnels")) {
    if (tunnel.at("peers").empty())
      rows.push_back({text(tunnel.at("interface")), text(tunnel.at("role")), "-", "-", text(tunnel.at("policy")), "-",
                      "-", "-", "-"});
    for (const Json& peer : tunnel.at("peers")) {
      const Json& age = peer.at("handshake_age");
      rows.push_back({text(tunnel.at("interface")), text(tunnel.at("role")),
                      text(peer.at("public_key")).substr(0, 8) + "...", text(peer.at("endpoint")),
                      text(peer.at("policy")), wanOf(peer), leavesBy(peer),
                      peer.contains("source") ? text(peer.at("source")) : "-",
                      age.is_null() ? "never" : duration(age.get<std::int64_t>()) + " ago"});
    }
  }
  return rows.size() == 1 ? "no tunnel\n" : table(rows, width);
}

std::string exitsOf(const Json& exits) {
  if (exits.is_null()) return "-";
  std::string names;
  for (const Json& exit : exits) names += (names.empty() ? "" : ", ") + text(exit);
  return names.empty() ? "none" : names;
}

/// In the order in which they are asked.
std::string rules(const Json& document, std::size_t width) {
  if (!document.contains("rules")) return {};
  std::vector<Row> rows{{"RULE", "USES", "IPV4", "IPV6", "CONNECTIONS", "NO EFFECT BECAUSE"}};
  for (const Json& rule : document.at("rules")) {
    const Json& connections = rule.at("connections");
    rows.push_back({text(rule.at("name")), text(rule.at("use")), exitsOf(rule.at("ipv4")), exitsOf(rule.at("ipv6")),
                    connections.is_null() ? "-" : connections.dump(), text(rule.at("no_effect"))});
  }
  return "\n" + table(rows, width);
}

/// How many connections stay on each WAN, and by which policies.
std::string exits(const Json& document, std::size_t width) {
  std::vector<Row> rows{{"EXIT", "CONNECTIONS", "CAME IN BY IT", "BY POLICY"}};
  for (const Json& exit : document.value("exits", Json::array())) {
    if (exit.at("connections").is_null()) continue;
    std::size_t arrived = 0;
    std::map<std::string, std::size_t> byPolicy;
    for (const Json& mark : exit.at("marks"))
      (mark.at("policy").is_null() ? arrived : byPolicy[text(mark.at("policy"))]) +=
          mark.value("connections", std::size_t{0});
    std::string policies;
    for (const auto& [policy, count] : byPolicy)
      if (count > 0) policies += (policies.empty() ? "" : ", ") + policy + " " + std::to_string(count);
    rows.push_back({text(exit.at("wan")), exit.at("connections").dump(), std::to_string(arrived),
                    policies.empty() ? "-" : policies});
  }
  return rows.size() == 1 ? std::string{} : "\n" + table(rows, width);
}

/// Peers that do not answer over their usual path.
std::string stalled(const Json& document) {
  std::string lines;
  for (const Json& tunnel : document.at("tunnels"))
    for (const Json& peer : tunnel.at("peers")) {
      const Json& stalled = peer.at("stalled");
      if (stalled.is_null()) continue;
      lines += "stalled: " + text(tunnel.at("interface")) + " " + text(peer.at("public_key")).substr(0, 8) +
               "...: " + text(stalled.at("why")) +
               (stalled.at("wan").is_null() ? "" : "; using " + text(stalled.at("wan"))) + "\n";
    }
  return lines;
}

/// Prefixes that hosts are told not to prefer, because their WAN cannot be used.
std::string deprecated(const Json& document) {
  std::string lines;
  for (const Json& each : document.value("deprecated", Json::array()))
    lines += "deprecated: " + text(each.at("prefix")) + " on " + text(each.at("device")) + " (" +
             text(each.at("address")) + ")" +
             (each.at("wan").is_null() ? ", of no WAN now" : ", of " + text(each.at("wan"))) + "\n";
  return lines;
}

/// Says so if the saved configuration is not the one in use.
std::string refused(const Json& document) {
  const Json& daemon = document.at("daemon");
  const Json last = daemon.is_null() ? Json(nullptr) : daemon.value("last_reload", Json(nullptr));
  if (last.is_null() || last.at("error").is_null()) return {};
  const std::int64_t ago = document.at("time").get<std::int64_t>() - last.at("time").get<std::int64_t>();
  const std::string when = duration(std::max<std::int64_t>(ago, 0)) + " ago";
  return (last.value("at_start", false)
              ? "refused: configuration at the start " + when + ", the last good one is in use: "
              : "refused: reload " + when + " failed, the previous configuration stays in use: ") +
         text(last.at("error")) + "\n";
}

std::string summary(const Json& document) {
  const Json& daemon = document.at("daemon");
  std::string line = daemon.is_null() ? "wgsteer is not running" : "wgsteer is running, pid " + daemon.at("pid").dump();
  const auto pending = document.at("pending").get<std::size_t>();
  line += pending == 0   ? "; kernel state is up to date"
          : pending == 1 ? "; 1 change pending (see wgsteer plan)"
                         : "; " + std::to_string(pending) + " changes pending (see wgsteer plan)";
  if (daemon.is_null()) return line + "\n";
  line += "\nevents " + daemon.at("events").dump() + ", changes " + daemon.at("changes").dump() + ", failovers " +
          daemon.at("failovers").dump() + ", resyncs " + daemon.at("resyncs").dump() + ", fights " +
          daemon.at("fights").dump();
  // Shown only if there were any, which is rare.
  if (const auto lost = daemon.value("overruns", std::size_t{0}); lost > 0)
    line += "\nevents lost " + std::to_string(lost) + (lost == 1 ? " time" : " times") + ", everything was read again";
  return line + "\n";
}

/// Reaction times: from receiving an event to the last change made for it.
std::string latencies(const Json& document, std::size_t width) {
  const Json& daemon = document.at("daemon");
  if (daemon.is_null() || daemon.at("applied_us").empty()) return {};
  std::vector<Row> rows{{"APPLIED AFTER", "COUNT", "P50 US", "P99 US", "MAX US"}};
  for (const auto& [kind, figures] : daemon.at("applied_us").items())
    rows.push_back({kind, figures.at("count").dump(), figures.at("p50").dump(), figures.at("p99").dump(),
                    figures.at("max").dump()});
  return "\n" + table(rows, width);
}

}  // namespace

std::string statusText(const Json& document, std::size_t width) {
  std::string out = summary(document) + "\n" + wansText(document, width) + "\n" + tunnels(document, width) +
                    stalled(document) + deprecated(document) + rules(document, width) + exits(document, width) +
                    latencies(document, width);
  out += refused(document);
  const Json troubles = document.value("tunnel_troubles", Json::object());
  for (const auto& [tunnel, why] : troubles.items()) out += "trouble with " + tunnel + ": " + text(why) + "\n";
  for (const Json& problem : document.at("problems")) out += "problem: " + text(problem) + "\n";
  for (const Json& note : document.value("notes", Json::array())) out += "note: " + text(note) + "\n";
  return out;
}

}  // namespace wgsteer::cli
