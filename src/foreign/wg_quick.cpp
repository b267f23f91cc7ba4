// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/wg_quick.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace wgsteer::foreign {

namespace {

/// wg(8) removes all blanks before it parses a line. Lines with other keys are not copied for that.
bool reads(std::string_view text, std::string_view wanted) {
  for (const char letter : text) {
    if (isBlank(letter)) continue;
    if (wanted.empty() || !sameIgnoringCase({&letter, 1}, wanted.substr(0, 1))) return false;
    wanted.remove_prefix(1);
  }
  return wanted.empty();
}

std::string withoutBlanks(std::string_view text) {
  std::string left{text};
  std::erase_if(left, isBlank);
  return left;
}

}  // namespace

std::vector<PeerEndpoint> readWgQuick(std::string_view text, const IfName& tunnel, config::Problems& problems) {
  std::vector<PeerEndpoint> peers;
  std::optional<PeerSection> peer;
  const auto finish = [&] {
    if (peer) peer->finish(peers, problems);
    peer.reset();
  };
  skipByteOrderMark(text);
  for (unsigned line = 1; !text.empty(); ++line) {
    const std::string_view content = takeLine(text);
    const std::string_view statement = trimmed(content.substr(0, content.find('#')));
    if (statement.starts_with('[')) {
      finish();
      if (reads(statement, "[Peer]")) peer.emplace(line);
      continue;
    }
    const auto equals = statement.find('=');
    if (!peer || equals == std::string_view::npos) continue;
    const std::string_view key = statement.substr(0, equals);
    const std::string_view value = statement.substr(equals + 1);
    if (reads(key, "PublicKey")) peer->setPublicKey(withoutBlanks(value), line);
    if (reads(key, "Endpoint")) peer->setEndpoint(withoutBlanks(value), line);
  }
  finish();
  for (PeerEndpoint& each : peers) each.tunnel = tunnel;
  return peers;
}

bool isWgQuickName(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.-";
  return !name.empty() && name.size() <= kMaxIfNameLength && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

}  // namespace wgsteer::foreign
