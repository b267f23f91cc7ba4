// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/netdev.hpp"

#include <optional>
#include <string>

#include "config/values.hpp"

namespace wgsteer::config {

namespace {

bool isComment(std::string_view line) { return line.starts_with('#') || line.starts_with(';'); }

/// The file as a whole: what is read of [NetDev], and of every [WireGuardPeer].
class Reader {
 public:
  explicit Reader(Problems& problems) : problems_(problems) {}
  std::vector<PeerEndpoint> read(std::string_view text);

 private:
  void beginSection(std::string_view name, unsigned line);
  void take(std::string_view key, std::string_view value, unsigned line);
  bool wanted(std::string_view key) const;
  void finishPeer() {
    if (peer_) peer_->finish(peers_, peerProblems_);
    peer_.reset();
  }

  Problems& problems_;
  Problems peerProblems_;  // count only if the device is WireGuard
  std::vector<PeerEndpoint> peers_;
  std::optional<PeerSection> peer_;
  bool inNetDev_ = false;
  std::string kind_;
  Value name_;
};

void Reader::beginSection(std::string_view name, unsigned line) {
  finishPeer();
  inNetDev_ = name == "[NetDev]";
  if (name == "[WireGuardPeer]") peer_.emplace(line);
}

bool Reader::wanted(std::string_view key) const {
  return (inNetDev_ && (key == "Name" || key == "Kind")) || (peer_ && (key == "PublicKey" || key == "Endpoint"));
}

void Reader::take(std::string_view key, std::string_view value, unsigned line) {
  if (key == "Name") name_ = {ValueType::untyped, std::string{trimmed(value)}, line};
  if (key == "Kind") kind_ = trimmed(value);
  if (key == "PublicKey") peer_->setPublicKey(value, line);
  if (key == "Endpoint") peer_->setEndpoint(value, line);
}

/// Takes the backslash off a line that goes on in the next one.
bool takeBackslash(std::string_view& line) {
  const auto last = line.find_last_not_of('\\');
  const std::size_t count = line.size() - (last == std::string_view::npos ? 0 : last + 1);
  if (count % 2 == 0) return false;
  line.remove_suffix(1);
  return true;
}

/// Appends the lines that such a line goes on in, without comments in between. Returns how many were taken.
unsigned takeContinuation(std::string_view& text, std::string* value) {
  unsigned taken = 0;
  for (bool more = true; more && !text.empty(); ++taken) {
    std::string_view line = takeLine(text);
    if (isComment(trimmed(line))) continue;
    more = takeBackslash(line);
    if (value != nullptr) (*value += ' ') += trimmed(line);
  }
  return taken;
}

std::vector<PeerEndpoint> Reader::read(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (unsigned line = 1; !text.empty(); ++line) {
    const unsigned start = line;
    std::string_view content = takeLine(text);
    if (isComment(trimmed(content))) continue;
    const bool continued = takeBackslash(content);
    const std::string_view statement = trimmed(content);
    const auto equals = statement.find('=');
    const std::string_view key = equals == std::string_view::npos ? "" : trimmed(statement.substr(0, equals));
    // Of other values, which may be keys, nothing is copied.
    const bool copied = wanted(key);
    std::string value{copied ? statement.substr(equals + 1) : std::string_view{}};
    if (continued) line += takeContinuation(text, copied ? &value : nullptr);
    if (statement.starts_with('[')) beginSection(statement, start);
    if (copied) take(key, value, start);
  }
  finishPeer();
  if (kind_ != "wireguard") return {};
  const auto name = parseIfName(name_);
  if (!name) {
    problems_.add(name_.line, "Name", name.error());
    return {};
  }
  problems_.append(peerProblems_);
  for (PeerEndpoint& each : peers_) each.tunnel = *name;
  return std::move(peers_);
}

}  // namespace

std::vector<PeerEndpoint> readNetdev(std::string_view text, Problems& problems) { return Reader{problems}.read(text); }

}  // namespace wgsteer::config
