// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/text.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace wgsteer::config {

namespace {

constexpr std::size_t kMaxQuoted = 48;

/// Nobody writes longer lines, and dotted keys add a level of nesting every two bytes: toml++ 3.3 frees nested tables
/// recursively, so that a single line of some hundred kilobytes would exhaust the stack.
constexpr std::size_t kMaxLineLength = 2048;

bool isContinuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U; }

/// Length of the UTF-8 sequence at the start of the text; 0 if there is no valid one.
std::size_t sequenceLength(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = at(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if (!isContinuation(text[i])) return 0;
  // Overlong forms, surrogates, beyond U+10FFFF.
  const std::uint32_t second = at(1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return length;
}

std::size_t editDistance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string printable(std::string_view text) {
  std::string shown;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    shown += byte < 0x20 || byte == 0x7f ? '?' : letter;
  }
  return shown;
}

std::string inQuotes(std::string_view text) {
  const bool cut = text.size() > kMaxQuoted;
  if (cut) {
    std::size_t length = kMaxQuoted;
    while (length > 0 && isContinuation(text[length])) --length;
    text = text.substr(0, length);
  }
  return "'" + printable(text) + (cut ? "...'" : "'");
}

std::string didYouMean(std::string_view word, std::span<const std::string> candidates) {
  // A long word is similar to none; comparing a whole file's worth of text would only cost time.
  constexpr std::size_t kMaxWord = 32;
  if (word.size() > kMaxWord) return {};
  const std::string* best = nullptr;
  std::size_t bestDistance = std::min<std::size_t>(2, word.size() / 2) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = editDistance(word, candidate);
    if (distance >= bestDistance) continue;
    best = &candidate;
    bestDistance = distance;
  }
  return best == nullptr ? std::string{} : ", did you mean " + inQuotes(*best) + "?";
}

std::optional<BadText> badText(std::string_view text) {
  unsigned line = 1;
  std::size_t lineStart = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '\0') return BadText{line, "NUL byte; a configuration must be plain UTF-8 text"};
    const std::size_t length = sequenceLength(text.substr(i));
    if (length == 0) return BadText{line, "not valid UTF-8; a configuration must be plain UTF-8 text"};
    if (text[i] == '\n') {
      ++line;
      lineStart = i + 1;
    } else if (i - lineStart >= kMaxLineLength) {
      return BadText{line, "the line is too long; at most " + std::to_string(kMaxLineLength) + " bytes"};
    }
    i += length;
  }
  return std::nullopt;
}

}  // namespace wgsteer::config
