// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/wan_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/table.hpp"

namespace wgsteer::cli {

namespace {

using Json = nlohmann::json;

std::string withUnit(const Json& value, const char* unit) {
  if (value.is_null()) return "-";
  // A latency of 12.34 ms is shown as 12.3, one of 0.05 ms as it is.
  const double number = value.get<double>();
  std::string digits = Json(number < 1 ? number : std::round(number * 10) / 10).dump();
  return digits + " " + unit;
}

std::string forHowLong(const Json& since, std::int64_t now) {
  return since.is_null() ? "-" : duration(std::max<std::int64_t>(now - since.get<std::int64_t>(), 0));
}

constexpr auto kFamilyNames = std::to_array<std::pair<const char*, const char*>>({{"ipv4", "IPv4"}, {"ipv6", "IPv6"}});

/// Whether the WAN offers the family, but only the other one is used.
bool isDownAlone(const Json& wan, const Json& family) {
  return wan.at("state") == "up" && family.value("offered", false) && !family.at("usable").get<bool>();
}

/// Why the WAN is up or down; if one family differs, why that one does.
std::string why(const Json& wan) {
  std::string differing;
  for (const auto& [key, name] : kFamilyNames) {
    const Json& family = wan.at(key);
    const bool down = isDownAlone(wan, family);
    const bool blind = family.value("cannot_be_probed", false) && family.at("reason") != wan.at("reason");
    if (down || blind)
      differing +=
          std::string{differing.empty() ? "" : "; "} + name + (down ? " down: " : " ") + text(family.at("reason"));
  }
  return differing.empty() ? text(wan.at("reason")) : differing;
}

/// The gateway if the family can be used; otherwise why not, unless that has been said already.
std::string wanFamily(const Json& wan, const Json& family, std::int64_t now) {
  if (family.at("usable").get<bool>())
    return family.at("gateway").is_null() ? "up" : "up via " + text(family.at("gateway"));
  if (family.at("reason") == wan.at("reason")) return "down";
  const std::string lasting = family.at("since") == wan.at("since") || family.at("since").is_null()
                                  ? ""
                                  : " (" + forHowLong(family.at("since"), now) + ")";
  return (isDownAlone(wan, family) ? "down" : text(family.at("reason"))) + lasting;
}

/// Commands with which the user can fix it.
std::string fixes(const Json& document) {
  std::string lines;
  for (const Json& wan : document.at("wans"))
    for (const auto& [key, name] : kFamilyNames)
      if (const Json fix = wan.at(key).value("fix", Json{}); fix.is_string())
        lines += "\n" + text(wan.at("name")) + " cannot be probed and counts as up; to allow its probes: " + text(fix) +
                 "\n";
  return lines;
}

std::string handshakes(const Json& counts) {
  if (counts.is_null()) return "-";
  return counts.at("initiations").dump() + " / " + counts.at("responses").dump();
}

std::string targets(const Json& document, std::size_t width) {
  std::vector<Row> rows{{"WAN", "TARGET", "LAST ROUND", "LATENCY", "LOSS"}};
  for (const Json& wan : document.at("wans"))
    for (const Json& target : wan.at("targets"))
      rows.push_back({text(wan.at("name")), text(target.at("address")),
                      target.value("refused", false)        ? "blocked"
                      : target.at("loss_percent").is_null() ? "not yet"
                      : target.at("answered").get<bool>()   ? "answered"
                                                            : "silent",
                      withUnit(target.at("latency_ms"), "ms"), withUnit(target.at("loss_percent"), "%")});
  return rows.size() == 1 ? std::string{} : "\n" + table(rows, width);
}

}  // namespace

std::string wansText(const Json& document, std::size_t width) {
  const auto now = document.at("time").get<std::int64_t>();
  std::vector<Row> rows{
      {"WAN", "DEVICE", "STATE", "FOR", "WHY", "IPV4", "IPV6", "LATENCY", "LOSS", "HANDSHAKES", "MARK"}};
  for (const Json& wan : document.at("wans"))
    rows.push_back({text(wan.at("name")), text(wan.at("device")), text(wan.at("state")),
                    forHowLong(wan.at("since"), now), why(wan), wanFamily(wan, wan.at("ipv4"), now),
                    wanFamily(wan, wan.at("ipv6"), now), withUnit(wan.at("latency_ms"), "ms"),
                    withUnit(wan.at("loss_percent"), "%"), handshakes(wan.at("handshakes")), text(wan.at("mark"))});
  if (rows.size() == 1) return "no WAN: only tunnels have a default route\n";
  return table(rows, width) + targets(document, width) + fixes(document);
}

}  // namespace wgsteer::cli
