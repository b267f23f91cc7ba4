// SPDX-License-Identifier: GPL-2.0-or-later
// What other programs' files say of where a WireGuard peer is reached.
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

/// A peer's section while it is being read. The values are public: a key, an endpoint.
class PeerSection {
 public:
  explicit PeerSection(unsigned line) : line_(line) {}
  void setPublicKey(std::string_view value, unsigned line);
  void setEndpoint(std::string_view value, unsigned line);
  /// Adds the peer if it has an endpoint. What is wrong goes to `problems`, which repeat no value: it may be a private
  /// key in the wrong place.
  void finish(std::vector<PeerEndpoint>& peers, config::Problems& problems) const;

 private:
  unsigned line_;
  config::Value publicKey_;
  config::Value endpoint_;
};

/// As isspace() in the C locale.
bool isBlank(char letter);
/// Without blanks at either end.
std::string_view trimmed(std::string_view text);
/// ASCII alone, whatever the locale.
bool sameIgnoringCase(std::string_view left, std::string_view right);
/// Takes the mark that some editors put at the beginning of UTF-8 off the text.
void skipByteOrderMark(std::string_view& text);
/// Takes the first line off the text, without its line break (LF or CR LF).
std::string_view takeLine(std::string_view& text);

}  // namespace wgsteer::foreign
