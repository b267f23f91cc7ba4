// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/peer_endpoint.hpp"

#include <algorithm>
#include <charconv>

#include "wgsteer/core/address.hpp"

#include "config/values.hpp"

namespace wgsteer::foreign {

namespace {

constexpr std::string_view kBlanks = " \t\r\v\f\n";

/// As in wg(8) and networkd: host:port or [host]:port; even without brackets the host may be an IPv6 address.
bool split(std::string_view text, PeerEndpoint& peer) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), peer.port);
  if (error != std::errc{} || end != port.data() + port.size() || peer.port == 0) return false;
  peer.host = host;
  // A scope ("fe80::1%eth0") matters only to the sender; the address does not include it.
  peer.numeric = Address::parse(host.substr(0, host.find('%'))).has_value();
  return peer.numeric || config::isHostName(host);
}

char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter; }

}  // namespace

void PeerSection::finish(std::vector<PeerEndpoint>& peers, config::Problems& problems) const {
  if (endpoint_.text.empty()) return;  // a peer that contacts us
  if (publicKey_.text.empty()) return problems.add(line_, "PublicKey", "missing: the peer has an Endpoint");
  const auto key = PublicKey::parse(publicKey_.text);
  if (!key) return problems.add(publicKey_.line, "PublicKey", "is not a WireGuard key: 44 characters of base64");
  PeerEndpoint peer;
  peer.peer = *key;
  peer.line = endpoint_.line;
  if (!split(endpoint_.text, peer))
    return problems.add(endpoint_.line, "Endpoint", "is not host:port or [IPv6]:port with a port of 1..65535");
  peers.push_back(std::move(peer));
}

void PeerSection::setPublicKey(std::string_view value, unsigned line) {
  publicKey_ = {config::ValueType::untyped, std::string{trimmed(value)}, line};
}

void PeerSection::setEndpoint(std::string_view value, unsigned line) {
  endpoint_ = {config::ValueType::untyped, std::string{trimmed(value)}, line};
}

bool isBlank(char letter) { return kBlanks.find(letter) != std::string_view::npos; }

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool sameIgnoringCase(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, {}, lower, lower);
}

void skipByteOrderMark(std::string_view& text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
}

std::string_view takeLine(std::string_view& text) {
  const auto end = text.find('\n');
  std::string_view line = text.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

}  // namespace wgsteer::foreign
