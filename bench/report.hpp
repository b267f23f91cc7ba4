// SPDX-License-Identifier: GPL-2.0-or-later
// Formats rows as a readable page with two charts. Pure: text from values.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "stats.hpp"

namespace wgsteer::bench {

/// Where and when it was measured.
struct Occasion {
  std::string date;  ///< 2026-01-31
  std::string processor;
  int cpus = 0;
  std::string kernel;   ///< release
  std::string machine;  ///< architecture
};

void to_json(nlohmann::json& json, const Occasion& occasion);
void from_json(const nlohmann::json& json, Occasion& occasion);

inline constexpr const char* kReportFile = "benchmarks.md";
inline constexpr const char* kReactionChart = "benchmarks-reaction.svg";
inline constexpr const char* kFailoverChart = "benchmarks-failover.svg";

/// Markdown, with all rows; it shows both charts, which are next to it.
std::string report(const Occasion& occasion, const std::vector<Row>& rows);
/// SVG: event to applied, beside the raw reactor, libnl and the shell.
std::string reactionChart(const Occasion& occasion, const std::vector<Row>& rows);
/// SVG: the gap when a link goes down, beside the kernel alone, the shell, and what is known of mwan3.
std::string failoverChart(const Occasion& occasion, const std::vector<Row>& rows);

}  // namespace wgsteer::bench
