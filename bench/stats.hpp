// SPDX-License-Identifier: GPL-2.0-or-later
// Samples, statistics, and the rows of the report.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace wgsteer::bench {

/// CLOCK_MONOTONIC, ns.
std::int64_t now();
/// CPU time of the calling thread, ns.
std::int64_t threadTime();

using Samples = std::vector<double>;

/// By nearest rank; quantile 0.5 is the median. `samples` must not be empty.
double percentile(Samples samples, double quantile);
double median(Samples samples);

/// Samples of one side of a comparison, by repetition.
using Series = std::vector<Samples>;
/// Median over the repetitions of the quantile in each.
double summary(const Series& series, double quantile);
/// Median over the repetitions of the ratio in each, so that drift between repetitions cancels out.
double ratioOf(const Series& value, const Series& control, double quantile);

/// Outside of this range a row is not judged: the machine was too noisy to measure two equal things as equal.
inline constexpr double kLeastAa = 0.95;
inline constexpr double kMostAa = 1.05;

struct Row {
  std::string benchmark;
  std::string unit;
  double value = 0;
  std::optional<double> control;  ///< nullopt: the value is judged as it is
  std::optional<double> ratio;
  double target = 0;
  std::optional<double> aa;  ///< the control against a second, identical one
  std::string note;

  std::string verdict() const;
};

/// `second` is the other control, for A/A.
Row compare(std::string benchmark, std::string unit, const Series& value, const Series& control, const Series& second,
            double target, double quantile = 0.5);
/// Judged as it is: at most `target`.
Row atMost(std::string benchmark, std::string unit, double value, double target);

void to_json(nlohmann::json& json, const Row& row);
void from_json(const nlohmann::json& json, Row& row);

/// With as many digits as are significant.
std::string decimal(double value);
std::string ratioText(const std::optional<double>& ratio);
/// The table for people.
void print(const std::vector<Row>& rows);

}  // namespace wgsteer::bench
