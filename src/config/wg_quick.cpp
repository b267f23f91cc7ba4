// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/wg_quick.hpp"

#include <algorithm>
#include <optional>

namespace wgsteer::config {

std::vector<PeerEndpoint> readWgQuick(std::string_view text, const IfName& tunnel, Problems& problems) {
  std::vector<PeerEndpoint> peers;
  std::optional<PeerSection> peer;
  const auto finish = [&] {
    if (peer) peer->finish(peers, problems);
    peer.reset();
  };
  for (unsigned line = 1; !text.empty(); ++line) {
    const std::string_view content = trimmed(takeLine(text));
    const std::string_view statement = trimmed(content.substr(0, content.find('#')));
    if (statement.starts_with('[')) {
      finish();
      if (sameIgnoringCase(statement, "[Peer]")) peer.emplace(line);
      continue;
    }
    const auto equals = statement.find('=');
    if (!peer || equals == std::string_view::npos) continue;
    const std::string_view key = trimmed(statement.substr(0, equals));
    if (sameIgnoringCase(key, "PublicKey")) peer->setPublicKey(statement.substr(equals + 1), line);
    if (sameIgnoringCase(key, "Endpoint")) peer->setEndpoint(statement.substr(equals + 1), line);
  }
  finish();
  for (PeerEndpoint& each : peers) each.tunnel = tunnel;
  return peers;
}

bool isWgQuickName(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.-";
  return !name.empty() && name.size() <= kMaxIfNameLength && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

}  // namespace wgsteer::config
