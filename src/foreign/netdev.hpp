// SPDX-License-Identifier: GPL-2.0-or-later
// The peers of a WireGuard device of systemd-networkd: systemd.netdev(5), in the syntax of systemd.syntax(7).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "foreign/peer_endpoint.hpp"

namespace wgsteer::foreign {

struct Netdev {
  IfName name;  ///< empty: no WireGuard device, or one that networkd would not create
  std::vector<PeerEndpoint> peers;
  std::vector<std::pair<std::string, config::Problems>> problems;  ///< by file
};

/// Reads a .netdev file and then its drop-ins, which count as if they were at its end: [NetDev] may be in one of them
/// and a peer in another, but a section ends with its file. Like networkd and unlike wg-quick, it is case-sensitive and
/// recognises comments only at the beginning of a line.
class NetdevReader {
 public:
  void add(std::string_view text, const std::string& file);
  /// Peers that have an Endpoint, in order; none if the device is of another kind.
  Netdev finish();

 private:
  void beginSection(std::string_view name, unsigned line);
  void take(std::string_view key, std::string_view value, unsigned line);
  bool wanted(std::string_view key) const;
  void finishPeer();
  config::Problems& problems() { return device_.problems.back().second; }

  Netdev device_;
  std::optional<PeerSection> peer_;
  bool inNetDev_ = false;
  std::string kind_;
  config::Value name_;
  std::size_t nameFile_ = 0;  ///< of device_.problems
};

/// Reads a single file; PeerEndpoint::file is left empty.
std::vector<PeerEndpoint> readNetdev(std::string_view text, config::Problems& problems);

}  // namespace wgsteer::foreign
