// SPDX-License-Identifier: GPL-2.0-or-later
// Helpers for text that a user wrote, and messages about it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wgsteer::config {

/// The parts between the separators, empty ones included; one part where there is none. They view `text`.
std::vector<std::string_view> split(std::string_view text, char separator);

/// In single quotes, cut when long, control characters replaced: safe for a log line and a terminal.
std::string quoted(std::string_view text);

/// Control characters replaced: other people's messages may quote a line break.
std::string printable(std::string_view text);

/// ", did you mean 'metric'?" or nothing when no candidate is near.
std::string didYouMean(std::string_view word, std::span<const std::string> candidates);

/// Why this text cannot be a configuration file, and in which line: invalid UTF-8, NUL, an endless line.
struct BadText {
  unsigned line = 0;
  std::string what;
};
std::optional<BadText> badText(std::string_view text);

}  // namespace wgsteer::config
