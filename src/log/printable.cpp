// SPDX-License-Identifier: GPL-2.0-or-later
#include "log/printable.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "wgsteer/core/ids.hpp"

namespace wgsteer::log {

namespace {

std::uint8_t byteAt(std::string_view text, std::size_t at) { return static_cast<std::uint8_t>(text[at]); }

bool continues(std::string_view text, std::size_t at) { return at < text.size() && (byteAt(text, at) & 0xc0U) == 0x80; }

/// Length in bytes of the text's first character; 0 if it must not be shown.
std::size_t characterSize(std::string_view text) {
  const std::uint8_t first = byteAt(text, 0);
  if (first < 0x80) return first >= ' ' && first != 0x7f ? 1 : 0;
  const std::size_t size = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if (!continues(text, i)) return 0;
  const std::uint8_t second = byteAt(text, 1);
  // U+0080 to U+009F are control characters as well; overlong forms, surrogates and anything beyond Unicode are not
  // characters.
  if (first == 0xc2 && second < 0xa0) return 0;
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return size;
}

std::string escaped(std::string_view text, bool keepsLines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = keepsLines && text.front() == '\n' ? 1 : characterSize(text);
    if (size > 0) {
      out += text.substr(0, size);
    } else {
      out += "\\x";
      out += kHexDigits[byteAt(text, 0) >> 4U];
      out += kHexDigits[byteAt(text, 0) & 0xfU];
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) { return escaped(text, false); }
std::string printableLines(std::string_view text) { return escaped(text, true); }

}  // namespace wgsteer::log
