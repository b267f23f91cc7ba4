// SPDX-License-Identifier: GPL-2.0-or-later
// The endpoint of a WireGuard peer in another program's file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/ids.hpp"

#include "config/sections.hpp"

namespace wgsteer::foreign {

struct PeerEndpoint {
  IfName tunnel;
  PublicKey peer;
  std::string host;  ///< a name, or an address without brackets
  std::uint16_t port = 0;
  bool numeric = false;  ///< `host` is an address: nothing to resolve
  std::string file;
  unsigned line = 0;
  bool operator==(const PeerEndpoint&) const = default;
};

/// A peer's section while it is being read. It stores only public values: a key, an endpoint.
class PeerSection {
 public:
  explicit PeerSection(unsigned line) : line_(line) {}
  void setPublicKey(std::string_view value, unsigned line);
  void setEndpoint(std::string_view value, unsigned line);
  /// Adds the peer if it has an endpoint. Errors go to `problems`, which never quote a value: it may be a private key
  /// in the wrong place.
  void finish(std::vector<PeerEndpoint>& peers, config::Problems& problems) const;

 private:
  unsigned line_;
  config::Value publicKey_;
  config::Value endpoint_;
};

/// Like isspace() in the C locale.
bool isBlank(char letter);
/// The text without blanks at either end.
std::string_view trimmed(std::string_view text);
/// For ASCII only, whatever the locale.
bool sameIgnoringCase(std::string_view left, std::string_view right);
/// Removes the byte order mark that some editors put at the beginning of UTF-8.
void skipByteOrderMark(std::string_view& text);
/// Removes the first line from the text and returns it without its line break (LF or CR LF).
std::string_view takeLine(std::string_view& text);

}  // namespace wgsteer::foreign
