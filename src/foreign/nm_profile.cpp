// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/nm_profile.hpp"

#include <algorithm>
#include <map>

#include "config/values.hpp"

namespace wgsteer::foreign {

namespace {

constexpr std::string_view kPeer = "wireguard-peer.";

/// GLib's escapes; it refuses any others, which names and endpoints do not need anyway.
std::string unescaped(std::string_view text) {
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      value += text[i];
      continue;
    }
    constexpr std::string_view kLetters = "sntr\\";
    constexpr std::string_view kMeanings = " \n\t\r\\";
    const auto known = kLetters.find(text[++i]);
    value += known == std::string_view::npos ? text[i] : kMeanings[known];
  }
  return value;
}

class Reader {
 public:
  explicit Reader(config::Problems& problems) : problems_(problems) {}
  NmProfile read(std::string_view text);

 private:
  void beginGroup(std::string_view name, unsigned line);
  void take(std::string_view key, std::string_view value, unsigned line);
  NmProfile finish();

  config::Problems& problems_;
  std::string group_;  ///< empty: a group that is not used
  config::Value type_;
  config::Value interface_;
  std::string uuid_;
  std::vector<PeerSection> peers_;
  std::map<std::string, std::size_t, std::less<>> peersByGroup_;  ///< a group that appears twice is one group
};

void Reader::beginGroup(std::string_view name, unsigned line) {
  group_.clear();
  if (name != "connection" && !name.starts_with(kPeer)) return;
  group_ = name;
  if (group_ == "connection" || !peersByGroup_.emplace(group_, peers_.size()).second) return;
  peers_.emplace_back(line);
  peers_.back().setPublicKey(name.substr(kPeer.size()), line);
}

void Reader::take(std::string_view key, std::string_view value, unsigned line) {
  const auto peer = peersByGroup_.find(group_);
  if (peer != peersByGroup_.end()) {
    if (key == "endpoint") peers_[peer->second].setEndpoint(unescaped(value), line);
    return;
  }
  if (key == "type") type_ = {config::ValueType::untyped, unescaped(value), line};
  if (key == "interface-name") interface_ = {config::ValueType::untyped, unescaped(value), line};
  if (key == "uuid") {
    uuid_ = unescaped(value);
    std::ranges::transform(uuid_, uuid_.begin(), [](char c) { return c >= 'A' && c <= 'F' ? char(c - 'A' + 'a') : c; });
  }
}

NmProfile Reader::read(std::string_view text) {
  skipByteOrderMark(text);
  for (unsigned line = 1; !text.empty(); ++line) {
    const std::string_view statement = trimmed(takeLine(text));
    if (statement.starts_with('#')) continue;
    if (statement.starts_with('[')) {
      beginGroup(statement.ends_with(']') ? statement.substr(1, statement.size() - 2) : std::string_view{}, line);
      continue;
    }
    const auto equals = statement.find('=');
    if (group_.empty() || equals == std::string_view::npos) continue;
    take(trimmed(statement.substr(0, equals)), trimmed(statement.substr(equals + 1)), line);
  }
  return finish();
}

NmProfile Reader::finish() {
  NmProfile profile{.uuid = std::move(uuid_), .peers = {}};
  if (type_.text != "wireguard") return profile;
  const auto name = config::parseIfName(interface_);
  if (!name) {
    problems_.add(interface_.line, "interface-name", name.error());
    return profile;
  }
  for (const PeerSection& peer : peers_) peer.finish(profile.peers, problems_);
  for (PeerEndpoint& each : profile.peers) each.tunnel = *name;
  return profile;
}

}  // namespace

NmProfile readNmProfile(std::string_view text, config::Problems& problems) { return Reader{problems}.read(text); }

}  // namespace wgsteer::foreign
