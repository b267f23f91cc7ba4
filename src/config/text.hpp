// SPDX-License-Identifier: GPL-2.0-or-later
// Helpers for messages about text that a user wrote.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace wgsteer::config {

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
