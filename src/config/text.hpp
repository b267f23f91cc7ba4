// SPDX-License-Identifier: GPL-2.0-or-later
// Helpers for text that a user wrote, and messages about it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wgsteer::config {

/// The parts between the separators, including empty ones; a single part if there is no separator. They view `text`.
std::vector<std::string_view> split(std::string_view text, char separator);

/// In single quotes, cut when long, control characters replaced: safe for a log line and a terminal.
std::string inQuotes(std::string_view text);

/// With control characters replaced: messages of libraries may quote a line break.
std::string printable(std::string_view text);

/// ", did you mean 'metric'?" or empty if no candidate is similar.
std::string didYouMean(std::string_view word, std::span<const std::string> candidates);

/// Why this text cannot be a configuration file, and on which line: invalid UTF-8, NUL, an endless line.
struct BadText {
  unsigned line = 0;
  std::string what;
};
std::optional<BadText> badText(std::string_view text);

}  // namespace wgsteer::config
