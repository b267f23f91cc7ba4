// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/uapi_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

namespace wgsteer::netlink {

namespace {

constexpr int kErrnoEnd = 134;

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The sign of the number depends on the implementation, and some numbers are not an errno at all.
std::string refusal(int code) {
  const bool known = code > -kErrnoEnd && code < kErrnoEnd && code != 0;
  std::string text = "its process returned errno " + std::to_string(code);
  if (known) text += std::string{" ("} + std::strerror(std::abs(code)) + ")";
  return text;
}

/// Applies one line of a peer's section to the peer.
void takePeerLine(std::string_view key, std::string_view value, Peer& peer) {
  if (key == "endpoint") peer.endpoint = Endpoint::parse(value);
  if (key == "persistent_keepalive_interval") peer.persistentKeepalive = number<std::uint16_t>(value).value_or(0);
  if (key == "last_handshake_time_sec") peer.lastHandshake = fromEpoch(number<std::int64_t>(value).value_or(0));
  if (key == "rx_bytes") peer.receivedBytes = number<std::uint64_t>(value).value_or(0);
  if (key == "tx_bytes") peer.sentBytes = number<std::uint64_t>(value).value_or(0);
  if (key == "allowed_ip")
    if (const auto prefix = Prefix::parse(value)) peer.allowedIps.push_back(*prefix);
}

}  // namespace

Result<Tunnel> parseUapi(std::string_view answer, const IfName& device) {
  Tunnel tunnel{.name = device, .backend = TunnelBackend::userspace, .fwmark = {}, .listenPort = 0, .peers = {}};
  bool ended = false;
  while (!answer.empty() && !ended) {
    const auto end = answer.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = answer.substr(0, end);
    answer.remove_prefix(end + 1);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    if (key == "private_key" || key == "preshared_key") continue;
    if (key == "errno") {
      ended = true;
      if (value == "0") continue;
      const int code = number<int>(value).value_or(-1);
      return fail(ErrorKind::refused, "wg " + device + ": " + refusal(code), code);
    } else if (key == "public_key") {
      const auto parsed = PublicKey::parseHex(value);
      if (!parsed) return fail(ErrorKind::malformed, "wg " + device + ": its process sent an invalid public key");
      tunnel.peers.emplace_back().publicKey = *parsed;
    } else if (!tunnel.peers.empty()) {
      takePeerLine(key, value, tunnel.peers.back());
    } else if (key == "listen_port") {
      tunnel.listenPort = number<std::uint16_t>(value).value_or(0);
    } else if (key == "fwmark") {
      tunnel.fwmark = Mark{number<std::uint32_t>(value).value_or(0)};
    }
  }
  if (!ended) return fail(ErrorKind::malformed, "wg " + device + ": its process sent an incomplete answer");
  std::ranges::sort(tunnel.peers, {}, &Peer::publicKey);
  return tunnel;
}

Status parseUapiOutcome(std::string_view answer, const std::string& what) {
  constexpr std::string_view kErrno = "errno=";
  if (!answer.starts_with(kErrno)) return fail(ErrorKind::malformed, what + ": its process sent an unexpected answer");
  const auto code = number<int>(answer.substr(kErrno.size(), answer.find('\n') - kErrno.size()));
  if (code == 0) return {};
  return fail(ErrorKind::refused, what + ": " + refusal(code.value_or(-1)), code.value_or(-1));
}

}  // namespace wgsteer::netlink
