// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/netdev.hpp"

#include <string>

#include "config/values.hpp"

namespace wgsteer::foreign {

namespace {

bool isComment(std::string_view line) { return line.starts_with('#') || line.starts_with(';'); }

/// Removes the backslash from a line that continues on the next one.
bool takeBackslash(std::string_view& line) {
  const auto last = line.find_last_not_of('\\');
  const std::size_t count = line.size() - (last == std::string_view::npos ? 0 : last + 1);
  if (count % 2 == 0) return false;
  line.remove_suffix(1);
  return true;
}

/// Appends the lines on which such a line continues, without comments in between. Returns how many were taken.
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

}  // namespace

void NetdevReader::finishPeer() {
  const std::size_t before = device_.peers.size();
  if (peer_) peer_->finish(device_.peers, problems());
  peer_.reset();
  for (std::size_t i = before; i < device_.peers.size(); ++i) device_.peers[i].file = device_.problems.back().first;
}

void NetdevReader::beginSection(std::string_view name, unsigned line) {
  finishPeer();
  inNetDev_ = name == "[NetDev]";
  if (name == "[WireGuardPeer]") peer_.emplace(line);
}

bool NetdevReader::wanted(std::string_view key) const {
  return (inNetDev_ && (key == "Name" || key == "Kind")) || (peer_ && (key == "PublicKey" || key == "Endpoint"));
}

void NetdevReader::take(std::string_view key, std::string_view value, unsigned line) {
  value = trimmed(value);
  if (key == "Name") {
    name_ = {config::ValueType::untyped, std::string{value}, line};
    nameFile_ = device_.problems.size() - 1;
  }
  // networkd uses the first kind, the last name and key, and treats an empty endpoint as none.
  if (key == "Kind" && kind_.empty()) kind_ = value;
  if (key == "PublicKey") peer_->setPublicKey(value, line);
  if (key == "Endpoint" && !value.empty()) peer_->setEndpoint(value, line);
}

void NetdevReader::add(std::string_view text, const std::string& file) {
  device_.problems.emplace_back(file, config::Problems{});
  inNetDev_ = false;
  skipByteOrderMark(text);
  for (unsigned line = 1; !text.empty(); ++line) {
    const unsigned start = line;
    std::string_view content = takeLine(text);
    if (isComment(trimmed(content))) continue;
    const bool continued = takeBackslash(content);
    const std::string_view statement = trimmed(content);
    const auto equals = statement.find('=');
    const std::string_view key = equals == std::string_view::npos ? "" : trimmed(statement.substr(0, equals));
    // Other values, which may be keys, are not copied.
    const bool copied = wanted(key);
    std::string value{copied ? statement.substr(equals + 1) : std::string_view{}};
    if (continued) line += takeContinuation(text, copied ? &value : nullptr);
    if (statement.starts_with('[')) beginSection(statement, start);
    if (copied) take(key, value, start);
  }
  finishPeer();
}

Netdev NetdevReader::finish() {
  if (kind_ != "wireguard") return {};
  const auto name = config::parseIfName(name_);
  if (name) {
    device_.name = *name;
    for (PeerEndpoint& each : device_.peers) each.tunnel = *name;
  } else {
    device_.peers.clear();
    device_.problems[nameFile_].second = {};
    device_.problems[nameFile_].second.add(name_.line, "Name", name.error());
  }
  return std::move(device_);
}

std::vector<PeerEndpoint> readNetdev(std::string_view text, config::Problems& problems) {
  NetdevReader reader;
  reader.add(text, {});
  Netdev device = reader.finish();
  for (const auto& [file, wrong] : device.problems) problems.append(wrong);
  return std::move(device.peers);
}

}  // namespace wgsteer::foreign
