// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/sections.hpp"

#include <algorithm>

namespace wgsteer::config {

bool Problems::has(unsigned line, std::string_view option) const {
  return std::ranges::any_of(list_, [&](const Problem& each) { return each.line == line && each.option == option; });
}

std::string Problems::toString(const std::string& fileName) const {
  // Nobody reads more than this, and a file full of garbage would flood the log.
  constexpr std::size_t kMaxShown = 50;
  std::vector<Problem> sorted = list_;
  std::ranges::stable_sort(sorted, {}, &Problem::line);
  std::string text;
  const std::size_t shown = std::min(sorted.size(), kMaxShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const Problem& problem = sorted[i];
    if (i > 0) text += '\n';
    text += fileName + ":";
    if (problem.line > 0) text += std::to_string(problem.line) + ":";
    if (!problem.option.empty()) text += " " + problem.option + ":";
    text += " " + problem.what;
  }
  if (sorted.size() > shown)
    text += "\n" + fileName + ": and " + std::to_string(sorted.size() - shown) + " more errors";
  return text;
}

}  // namespace wgsteer::config
