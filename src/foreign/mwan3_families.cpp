// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/mwan3_families.hpp"

#include <algorithm>
#include <cstddef>

namespace wgsteer::foreign {

namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isHex(char c) { return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Three digits at most, 255 at most, as the expression has it.
bool isOctet(std::string_view text) {
  if (text.empty() || text.size() > 3 || !std::ranges::all_of(text, isDigit)) return false;
  return text.size() < 3 || text <= "255";
}

/// The length of the run of such letters that begins at `at`.
template <class Is>
std::string_view runAt(std::string_view text, std::size_t at, Is is) {
  std::size_t end = at;
  while (end < text.size() && is(text[end])) ++end;
  return text.substr(at, end - at);
}

/// "D.OCTET.OCTET.D", whose first digit is at `at`.
bool isIPv4At(std::string_view text, std::size_t at) {
  for (int i = 0; i < 2; ++i) {
    if (++at >= text.size() || text[at] != '.') return false;
    const std::string_view octet = runAt(text, at + 1, isDigit);
    if (!isOctet(octet)) return false;
    at += octet.size();
  }
  return at + 2 < text.size() && text[at + 1] == '.' && isDigit(text[at + 2]);
}

/// Eight groups without "::".
bool isWholeIPv6At(std::string_view text, std::size_t at) {
  constexpr int kColons = 7;
  constexpr std::size_t kMaxGroup = 4;
  for (int i = 0; i < kColons; ++i) {
    const std::string_view group = runAt(text, at, isHex);
    // Without an anchor, the last four letters of a longer first group match.
    if (group.empty() || (group.size() > kMaxGroup && i > 0)) return false;
    at += group.size();
    if (at >= text.size() || text[at] != ':') return false;
    ++at;
  }
  return at < text.size() && isHex(text[at]);
}

}  // namespace

bool hasIPv4(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if (isDigit(text[i]) && isIPv4At(text, i)) return true;
  return false;
}

bool hasIPv6(std::string_view text) {
  if (text.find("::") != std::string_view::npos) return true;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (isHex(text[i]) && isWholeIPv6At(text, i)) return true;
  return false;
}

std::vector<Family> familiesOf(const Mwan3Rule& rule) {
  std::vector<Family> families;
  const auto has = [&](bool (*family)(std::string_view)) { return family(rule.srcIp) || family(rule.destIp); };
  if (rule.family != "ipv6" && !has(hasIPv6)) families.push_back(Family::v4);
  if (rule.family != "ipv4" && !has(hasIPv4)) families.push_back(Family::v6);
  return families;
}

}  // namespace wgsteer::foreign
