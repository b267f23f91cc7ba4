// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/table.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "log/printable.hpp"

namespace wgsteer::cli {

namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kIndent = 4;

/// Characters, not bytes: what is printable is UTF-8 (log/printable.hpp).
std::size_t widthOf(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char byte) { return (byte & 0xc0) != 0x80; }));
}

/// The cells as they will be printed, which is what determines their width.
std::vector<Row> shown(std::vector<Row> rows) {
  for (Row& row : rows)
    for (std::string& cell : row) cell = log::printable(cell);
  return rows;
}

std::vector<std::size_t> widthsOf(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], widthOf(row[i]));
  return widths;
}

/// How many columns fit next to each other on a line.
std::size_t columnsWithin(const std::vector<std::size_t>& widths, std::size_t width) {
  if (width == 0) return widths.size();
  std::size_t used = 0;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    used += widths[i] + (i == 0 ? 0 : kGap);
    if (used > width) return std::max<std::size_t>(i, 1);
  }
  return widths.size();
}

std::string cellsOf(const Row& row, const std::vector<std::size_t>& widths, std::size_t columns) {
  std::string line;
  for (std::size_t i = 0; i < columns; ++i) line += row[i] + std::string(widths[i] - widthOf(row[i]) + kGap, ' ');
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

/// The columns from `first` on, on as many lines as needed.
std::string restOf(const Row& headings, const Row& row, std::size_t first, std::size_t width) {
  std::string out;
  std::string line;
  for (std::size_t i = first; i < row.size(); ++i) {
    if (row[i] == "-") continue;
    const std::string cell = headings[i] + " " + row[i];
    if (!line.empty() && widthOf(line) + kGap + widthOf(cell) > width) out += std::exchange(line, "") + "\n";
    line += std::string(line.empty() ? kIndent : kGap, ' ') + cell;
  }
  return line.empty() ? out : out + line + "\n";
}

}  // namespace

std::string table(const std::vector<Row>& cells, std::size_t width) {
  const std::vector<Row> rows = shown(cells);
  const auto widths = widthsOf(rows);
  const std::size_t columns = columnsWithin(widths, width);
  std::string out;
  for (const Row& row : rows) {
    out += cellsOf(row, widths, columns);
    if (&row != &rows.front()) out += restOf(rows.front(), row, columns, width);
  }
  return out;
}

std::string text(const nlohmann::json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>().empty() ? "-" : value.get<std::string>();
  return value.dump();
}

std::string duration(std::int64_t seconds) {
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 7200) return std::to_string(seconds / 60) + " min";
  if (seconds < 172800) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " d";
}

}  // namespace wgsteer::cli
