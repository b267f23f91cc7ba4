// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/status_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace wgsteer::cli {

namespace {

using Json = nlohmann::json;
using Row = std::vector<std::string>;

std::string text(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>().empty() ? "-" : value.get<std::string>();
  return value.dump();
}

std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string duration(std::int64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  if (seconds < 172800) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " d";
}

std::string wanFamily(const Json& family) {
  if (!family.at("usable").get<bool>()) return text(family.at("why"));
  return family.at("gateway").is_null() ? "up" : "up via " + text(family.at("gateway"));
}

std::string wans(const Json& document) {
  std::vector<Row> rows{{"WAN", "DEVICE", "IPV4", "IPV6", "MARK"}};
  for (const Json& wan : document.at("wans"))
    rows.push_back({text(wan.at("name")), text(wan.at("device")), wanFamily(wan.at("ipv4")), wanFamily(wan.at("ipv6")),
                    text(wan.at("mark"))});
  return rows.size() == 1 ? "no WAN: nothing but tunnels has a default route\n" : table(rows);
}

/// One of several that were equal, if it says so.
std::string wanOf(const Json& peer) {
  if (!peer.contains("wan")) return "-";
  return text(peer.at("wan")) + (peer.value("balanced", false) ? " (balanced)" : "");
}

std::string leavesBy(const Json& peer) {
  if (!peer.contains("path")) return "-";
  const std::string path = text(peer.at("path"));
  if (path == "ok") return text(peer.at("device"));
  return path == "loop" ? "LOOP: " + text(peer.at("device")) : path;
}

std::string tunnels(const Json& document) {
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
  return rows.size() == 1 ? "no tunnel\n" : table(rows);
}

/// Peers that do not answer by their usual way.
std::string stalled(const Json& document) {
  std::string lines;
  for (const Json& tunnel : document.at("tunnels"))
    for (const Json& peer : tunnel.at("peers")) {
      const Json& stalled = peer.at("stalled");
      if (stalled.is_null()) continue;
      lines += "stalled: " + text(tunnel.at("interface")) + " " + text(peer.at("public_key")).substr(0, 8) +
               "...: " + text(stalled.at("why")) +
               (stalled.at("wan").is_null() ? "" : "; goes by " + text(stalled.at("wan"))) + "\n";
    }
  return lines;
}

std::string summary(const Json& document) {
  const Json& daemon = document.at("daemon");
  std::string line = daemon.is_null() ? "wgsteer does not run" : "wgsteer runs, pid " + daemon.at("pid").dump();
  const auto pending = document.at("pending").get<std::size_t>();
  line +=
      pending == 0 ? "; the kernel is as planned" : "; " + std::to_string(pending) + " changes are due (wgsteer plan)";
  if (!daemon.is_null())
    line += "\nevents " + daemon.at("events").dump() + ", changes " + daemon.at("changes").dump() + ", failovers " +
            daemon.at("failovers").dump() + ", resyncs " + daemon.at("resyncs").dump() + ", fights " +
            daemon.at("fights").dump();
  return line + "\n";
}

/// How fast we were: from hearing of something to the last change made for it.
std::string latencies(const Json& document) {
  const Json& daemon = document.at("daemon");
  if (daemon.is_null() || daemon.at("applied_us").empty()) return {};
  std::vector<Row> rows{{"APPLIED FOR", "TIMES", "P50 US", "P99 US", "MAX US"}};
  for (const auto& [kind, figures] : daemon.at("applied_us").items())
    rows.push_back({kind, figures.at("count").dump(), figures.at("p50").dump(), figures.at("p99").dump(),
                    figures.at("max").dump()});
  return "\n" + table(rows);
}

}  // namespace

std::string statusText(const Json& document) {
  std::string out =
      summary(document) + "\n" + wans(document) + "\n" + tunnels(document) + stalled(document) + latencies(document);
  for (const Json& problem : document.at("problems")) out += "problem: " + text(problem) + "\n";
  return out;
}

}  // namespace wgsteer::cli
