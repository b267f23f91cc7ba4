// SPDX-License-Identifier: GPL-2.0-or-later
#include "stats.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

namespace wgsteer::bench {

namespace {

std::int64_t read(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

std::string decimal(double value) {
  char text[32];
  const int digits = value == std::floor(value) ? 0 : value < 10 ? 2 : value < 1000 ? 1 : 0;
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string ratioText(const std::optional<double>& ratio) {
  if (!ratio) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", *ratio);
  return text;
}

std::int64_t now() { return read(CLOCK_MONOTONIC); }
std::int64_t threadTime() { return read(CLOCK_THREAD_CPUTIME_ID); }

double percentile(Samples samples, double quantile) {
  std::ranges::sort(samples);
  const auto rank = static_cast<std::size_t>(quantile * static_cast<double>(samples.size() - 1) + 0.5);
  return samples[rank];
}

double median(Samples samples) { return percentile(std::move(samples), 0.5); }

double summary(const Series& series, double quantile) {
  Samples each;
  for (const Samples& samples : series) each.push_back(percentile(samples, quantile));
  return median(each);
}

double ratioOf(const Series& value, const Series& control, double quantile) {
  Samples each;
  for (std::size_t i = 0; i < value.size(); ++i)
    each.push_back(percentile(value[i], quantile) / percentile(control[i], quantile));
  return median(each);
}

std::string Row::verdict() const {
  if (aa && (*aa < kLeastAa || *aa > kMostAa)) return "not judged: A/A " + ratioText(aa);
  return ratio.value_or(value) <= target ? "met" : "missed";
}

Row compare(std::string benchmark, std::string unit, const Series& value, const Series& control, const Series& second,
            double target, double quantile) {
  Row row;
  row.benchmark = std::move(benchmark);
  row.unit = std::move(unit);
  row.value = summary(value, quantile);
  row.control = summary(control, quantile);
  row.ratio = ratioOf(value, control, quantile);
  row.target = target;
  row.aa = ratioOf(second, control, quantile);
  return row;
}

Row atMost(std::string benchmark, std::string unit, double value, double target) {
  Row row;
  row.benchmark = std::move(benchmark);
  row.unit = std::move(unit);
  row.value = value;
  row.target = target;
  return row;
}

void to_json(nlohmann::json& json, const Row& row) {
  const auto optional = [](const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
  };
  json = {{"benchmark", row.benchmark},
          {"unit", row.unit},
          {"value", row.value},
          {"control", optional(row.control)},
          {"ratio", optional(row.ratio)},
          {"target", row.target},
          {"aa", optional(row.aa)},
          {"verdict", row.verdict()},
          {"note", row.note}};
}

void from_json(const nlohmann::json& json, Row& row) {
  const auto optional = [&](const char* key) {
    return json.at(key).is_null() ? std::nullopt : std::optional{json.at(key).get<double>()};
  };
  json.at("benchmark").get_to(row.benchmark);
  json.at("unit").get_to(row.unit);
  json.at("value").get_to(row.value);
  row.control = optional("control");
  row.ratio = optional("ratio");
  json.at("target").get_to(row.target);
  row.aa = optional("aa");
  json.at("note").get_to(row.note);
}

void print(const std::vector<Row>& rows) {
  std::printf("%-46s %12s %12s %-8s %8s %9s %6s  %s\n", "benchmark", "value", "control", "unit", "ratio", "target",
              "A/A", "verdict");
  for (const Row& row : rows) {
    const std::string target = "<= " + (row.ratio ? ratioText(row.target) : decimal(row.target));
    std::printf("%-46s %12s %12s %-8s %8s %9s %6s  %s\n", row.benchmark.c_str(), decimal(row.value).c_str(),
                row.control ? decimal(*row.control).c_str() : "-", row.unit.c_str(), ratioText(row.ratio).c_str(),
                target.c_str(), ratioText(row.aa).c_str(), row.verdict().c_str());
    if (!row.note.empty()) std::printf("    %s\n", row.note.c_str());
  }
}

}  // namespace wgsteer::bench
