// SPDX-License-Identifier: GPL-2.0-or-later
#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace wgsteer::bench {

namespace {

std::string replaced(std::string_view text, std::initializer_list<std::pair<char, const char*>> table) {
  std::string out;
  for (const char each : text) {
    const auto* found = std::ranges::find_if(table, [&](const auto& entry) { return entry.first == each; });
    if (found == table.end())
      out += each;
    else
      out += found->second;
  }
  return out;
}

std::string forMarkdown(std::string_view text) {
  return replaced(text, {{'|', "\\|"}, {'<', "&lt;"}, {'&', "&amp;"}, {'*', "\\*"}, {'_', "\\_"}});
}

std::string forXml(std::string_view text) {
  return replaced(text, {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"}});
}

std::string unitText(const std::string& unit) { return unit.empty() ? "" : " " + (unit == "us" ? "µs" : unit); }

const Row* rowOf(const std::vector<Row>& rows, std::string_view name) {
  const auto found = std::ranges::find(rows, name, &Row::benchmark);
  return found == rows.end() ? nullptr : &*found;
}

bool isJudged(const Row& row) { return !row.verdict().starts_with("not judged"); }

std::string place(const Occasion& occasion) {
  return occasion.processor + ", " + std::to_string(occasion.cpus) + (occasion.cpus == 1 ? " CPU" : " CPUs") +
         ", Linux " + occasion.kernel + " (" + occasion.machine + ")";
}

// --- charts ---

enum class Look { ours, control, elsewhere };

struct Bar {
  std::string label;
  double microseconds = 0;
  Look look = Look::control;
  bool judged = true;
  bool atLeast = false;  ///< the true value is larger
};

struct Chart {
  std::string title, subtitle;
  std::vector<Bar> bars;
  std::vector<std::string> foot;
};

/// 94 µs, 2.1 ms, 50 s.
std::string duration(double microseconds) {
  constexpr std::pair<double, const char*> kUnits[] = {{1e6, "s"}, {1e3, "ms"}, {1, "µs"}};
  for (const auto& [size, unit] : kUnits) {
    if (microseconds < size && size > 1) continue;
    const double value = microseconds / size;
    char text[32];
    std::snprintf(text, sizeof text, "%.*f %s", value < 10 && value != std::floor(value) ? 1 : 0, value, unit);
    return text;
  }
  return {};
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

constexpr double kWidth = 860, kLeft = 300, kRight = 690, kTop = 78, kStep = 34, kThickness = 20;

std::string textAt(double x, double y, const char* kind, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" class=\"" + kind + "\">" + forXml(text) + "</text>\n";
}

/// A length for each power of ten.
class Scale {
 public:
  explicit Scale(const std::vector<Bar>& bars) {
    double least = 1e9, most = 1;
    for (const Bar& bar : bars) {
      least = std::min(least, bar.microseconds);
      most = std::max(most, bar.microseconds);
    }
    // The shortest bar must be visible as well.
    first_ = static_cast<int>(std::floor(std::log10(std::max(least, 0.01)) - 0.3));
    last_ = std::max(first_ + 1, static_cast<int>(std::ceil(std::log10(most))));
  }
  int first() const { return first_; }
  int last() const { return last_; }
  double at(double microseconds) const {
    const double part = (std::log10(std::max(microseconds, 0.01)) - first_) / (last_ - first_);
    return kLeft + std::clamp(part, 0.0, 1.0) * (kRight - kLeft);
  }

 private:
  int first_ = 0, last_ = 1;
};

// Viewers without a dark mode see the first set of colours.
constexpr const char* kStyle =
    "<style>\n"
    "text { font-family: sans-serif; font-size: 14px; fill: #1f2328 }\n"
    ".title { font-size: 17px; font-weight: bold }\n"
    ".small { font-size: 12px; fill: #59636e }\n"
    ".label { text-anchor: end }\n"
    ".tick { font-size: 12px; fill: #59636e; text-anchor: middle }\n"
    ".ground { fill: #ffffff }\n"
    ".grid { stroke: #d1d9e0; stroke-width: 1 }\n"
    ".ours { fill: #0969da }\n"
    ".control { fill: #818b98 }\n"
    ".elsewhere { fill: none; stroke: #818b98; stroke-width: 1.5; stroke-dasharray: 5 3 }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "text { fill: #f0f6fc }\n"
    ".small, .tick { fill: #9198a1 }\n"
    ".ground { fill: #0d1117 }\n"
    ".grid { stroke: #3d444d }\n"
    ".ours { fill: #4493f8 }\n"
    ".control { fill: #9198a1 }\n"
    ".elsewhere { stroke: #9198a1 }\n"
    "}\n"
    "</style>\n";

std::string bars(const Chart& chart, const Scale& scale) {
  constexpr const char* kClasses[] = {"ours", "control", "elsewhere"};
  std::string svg;
  double y = kTop;
  for (const Bar& bar : chart.bars) {
    const double end = scale.at(bar.microseconds), middle = y + kThickness / 2 + 5;
    svg += textAt(kLeft - 10, middle, "label", bar.label);
    svg += "<rect x=\"" + number(kLeft) + "\" y=\"" + number(y) + "\" width=\"" + number(end - kLeft) + "\" height=\"" +
           number(kThickness) + "\" rx=\"2\" class=\"" + kClasses[static_cast<int>(bar.look)] + "\"/>\n";
    svg += textAt(end + 8, middle, "value",
                  (bar.atLeast ? "≥ " : "") + duration(bar.microseconds) + (bar.judged ? "" : " (not judged)"));
    y += kStep;
  }
  return svg;
}

std::string drawn(const Chart& chart) {
  const Scale scale(chart.bars);
  const double bottom = kTop + kStep * static_cast<double>(std::max<std::size_t>(chart.bars.size(), 1));
  const double height = bottom + 34 + 18 * static_cast<double>(chart.foot.size());
  std::string description = chart.subtitle;
  for (const Bar& bar : chart.bars)
    description += "; " + bar.label + ": " + (bar.atLeast ? "at least " : "") + duration(bar.microseconds);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(kWidth) + " " + number(height) +
                    "\" role=\"img\">\n" + "<!-- SPDX-License-Identifier: GPL-2.0-or-later -->\n" + "<title>" +
                    forXml(chart.title) + "</title>\n<desc>" + forXml(description) + "</desc>\n" + kStyle +
                    "<rect width=\"" + number(kWidth) + "\" height=\"" + number(height) +
                    "\" rx=\"6\" class=\"ground\"/>\n";
  svg += textAt(20, 28, "title", chart.title);
  svg += textAt(20, 48, "small", chart.subtitle);
  if (chart.bars.empty()) {
    svg += textAt(20, kTop + kThickness, "label-none", "Not measured.");
  } else {
    for (int power = scale.first(); power <= scale.last(); ++power) {
      const double value = std::pow(10.0, power), x = scale.at(value);
      svg += "<path d=\"M" + number(x) + " " + number(kTop - 8) + " V" + number(bottom) + "\" class=\"grid\"/>\n";
      svg += textAt(x, bottom + 16, "tick", duration(value));
    }
    svg += bars(chart, scale);
  }
  double y = bottom + 40;
  for (const std::string& line : chart.foot) {
    svg += textAt(20, y, "small", line);
    y += 18;
  }
  return svg + "</svg>\n";
}

/// The value or the control of a row, if there is such a row.
void addValue(Chart& chart, const std::vector<Row>& rows, std::string_view name, const std::string& label) {
  if (const Row* row = rowOf(rows, name)) chart.bars.push_back({label, row->value, Look::ours, isJudged(*row), false});
}

void addControl(Chart& chart, const std::vector<Row>& rows, std::string_view name, const std::string& label) {
  const Row* row = rowOf(rows, name);
  if (row != nullptr && row->control)
    chart.bars.push_back({label, *row->control, Look::control, isJudged(*row), false});
}

constexpr const char* kLogarithmic = "Shorter is better. Each line of the scale is ten times the one before.";

// --- the page ---

struct Verdicts {
  std::size_t met = 0, missed = 0, notJudged = 0;
};

Verdicts verdictsOf(const std::vector<Row>& rows) {
  Verdicts verdicts;
  for (const Row& row : rows)
    ++(!isJudged(row) ? verdicts.notJudged : row.verdict() == "met" ? verdicts.met : verdicts.missed);
  return verdicts;
}

/// A missed target must stand out.
std::string verdictText(const Row& row) {
  if (!isJudged(row)) return "not judged";
  return row.verdict() == "met" ? "met" : "**missed**";
}

std::string lineOf(const Row& row, std::size_t note) {
  const std::string unit = unitText(row.unit);
  std::string name = forMarkdown(row.benchmark);
  if (note != 0) name += " [" + std::to_string(note) + "]";
  return "| " + name + " | " + decimal(row.value) + unit + " | " + (row.control ? decimal(*row.control) + unit : "-") +
         " | " + ratioText(row.ratio) + " | " + ratioText(row.aa) + " | ≤ " +
         (row.ratio ? ratioText(row.target) : decimal(row.target) + unit) + " | " + verdictText(row) + " |\n";
}

std::string table(const std::vector<Row>& rows) {
  std::string text =
      "| benchmark | value | control | ratio | A/A | target | verdict |\n"
      "|---|--:|--:|--:|--:|--:|---|\n";
  std::string notes;
  std::size_t count = 0;
  for (const Row& row : rows) {
    text += lineOf(row, row.note.empty() ? 0 : ++count);
    if (!row.note.empty()) notes += "- [" + std::to_string(count) + "] " + forMarkdown(row.note) + "\n";
  }
  return text + (notes.empty() ? "" : "\n" + notes);
}

}  // namespace

void to_json(nlohmann::json& json, const Occasion& occasion) {
  json = {{"date", occasion.date},
          {"processor", occasion.processor},
          {"cpus", occasion.cpus},
          {"kernel", occasion.kernel},
          {"machine", occasion.machine}};
}

void from_json(const nlohmann::json& json, Occasion& occasion) {
  json.at("date").get_to(occasion.date);
  json.at("processor").get_to(occasion.processor);
  json.at("cpus").get_to(occasion.cpus);
  json.at("kernel").get_to(occasion.kernel);
  json.at("machine").get_to(occasion.machine);
}

std::string reactionChart(const Occasion& occasion, const std::vector<Row>& rows) {
  Chart chart{.title = "From an event to the route that follows",
              .subtitle = "A WAN's default route is deleted; until the change in the policy's table is announced (p50)",
              .bars = {},
              .foot = {kLogarithmic, occasion.date + ": " + place(occasion)}};
  addValue(chart, rows, "route deleted, libmnl, p50", "wgsteer");
  addControl(chart, rows, "route deleted, libmnl, p50", "raw libmnl, messages lie ready");
  addControl(chart, rows, "route deleted, libnl nl_cache_mngr", "libnl, nl_cache_mngr");
  addControl(chart, rows, "route deleted, ip monitor + ip route", "shell: ip monitor, ip route");
  addControl(chart, rows, "route deleted, ip monitor + nft -f", "shell: ip monitor, nft -f");
  return drawn(chart);
}

std::string failoverChart(const Occasion& occasion, const std::vector<Row>& rows) {
  Chart chart{.title = "How long packets are lost when a WAN fails",
              .subtitle =
                  "Its link is taken down; 20 000 packets a second, last by the first WAN to first by the second "
                  "(p50)",
              .bars = {},
              .foot = {kLogarithmic + std::string{" Dashed: not measured in this run."},
                       "¹ Only its hotplug script for the interface, mwan3 2.12.2, run on x86 with a stub for ubus "
                       "(0.15 to 0.17 s); netifd's part comes on top.",
                       "² Another event: the time its pings need with the default options, interval 10 s and down 5.",
                       occasion.date + ": " + place(occasion)}};
  addValue(chart, rows, "failover gap, link down", "wgsteer");
  addControl(chart, rows, "failover gap, link down", "kernel alone, table set up by hand");
  addControl(chart, rows, "failover gap, link down, ip monitor + ip route", "shell: ip monitor, ip route");
  if (chart.bars.empty()) return drawn(chart);
  chart.bars.push_back({"mwan3, link down ¹", 150e3, Look::elsewhere, true, true});
  chart.bars.push_back({"mwan3, dead line whose link is up ²", 50e6, Look::elsewhere, true, false});
  return drawn(chart);
}

std::string report(const Occasion& occasion, const std::vector<Row>& rows) {
  const Verdicts verdicts = verdictsOf(rows);
  return std::string{
             "<!-- SPDX-License-Identifier: GPL-2.0-or-later -->\n"
             "<!-- Written by bench/run.sh: do not edit by hand. -->\n"
             "# Benchmarks\n\n"} +
         "Measured on " + occasion.date + ": " + forMarkdown(place(occasion)) + ".\n" + std::to_string(rows.size()) +
         " rows: " + std::to_string(verdicts.met) + " targets met, " + std::to_string(verdicts.missed) + " missed, " +
         std::to_string(verdicts.notJudged) +
         " not judged.\n\n"
         "A ratio is the cost of wgsteer divided by that of a control in the same run, so that it says something about "
         "other machines too: the control does the same work in the most direct way, or is what one would write "
         "instead. Below 1, wgsteer is faster. A/A is the same ratio between two equal controls; if these differ by "
         "more than 5 %, the machine was too noisy, and the row is not judged.\n"
         "[bench/README.md](../bench/README.md) says what each row measures, and against what.\n\n"
         "![From an event to the route that follows](" +
         kReactionChart + ")\n\n![How long packets are lost when a WAN fails](" + kFailoverChart + ")\n\n" +
         "Targets are for the ratio, or for the value if there is no control. Lower is always better.\n\n" +
         table(rows) +
         "\nIn the second chart, mwan3 shows an order of magnitude, and its figures are from another day: the measured "
         "time of its hotplug script, and its default options. A line that is dead while its link is up is found by "
         "probes, in wgsteer as well. [compared.md](compared.md) compares the rest.\n";
}

}  // namespace wgsteer::bench
