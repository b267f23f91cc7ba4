// SPDX-License-Identifier: GPL-2.0-or-later
// What /etc/config/network says of WireGuard and of the devices below it (netifd's wireguard.sh, interface.c).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/result.hpp"

#include "config/uci_path.hpp"
#include "foreign/interfaces.hpp"
#include "foreign/peer_endpoint.hpp"

namespace wgsteer::foreign {

/// /etc/config/network, or what stands for it.
inline std::string networkFile() { return config::firstThere(config::uciFiles("network")); }

/// `config wireguard_wg0`. A host name exists only here: the kernel keeps addresses.
struct NetifdPeer {
  std::string publicKey;  ///< as it is written, perhaps nonsense
  std::string endpointHost;
  std::string endpointPort{"51820"};
  std::vector<std::string> allowedIps;
  bool routeAllowedIps = false;
  bool disabled = false;
  unsigned line = 0;
};

/// `config interface 'wan'`
struct NetifdInterface {
  std::string name;
  std::string proto;
  std::string device;  ///< as it is written: eth1, br-wan, @wan; empty if the protocol makes it
  std::string tunlink;
  std::string fwmark;
  std::string listenPort;
  std::string ip4table;
  std::string ip6table;
  bool noHostRoute = false;
  bool disabled = false;
  unsigned line = 0;
  std::vector<NetifdPeer> peers;  ///< of a WireGuard interface

  /// WireGuard or AmneziaWG.
  bool isTunnel() const { return proto == "wireguard" || proto == "amneziawg"; }
};

struct Network {
  std::vector<NetifdInterface> interfaces;

  const NetifdInterface* find(std::string_view name) const;
};

/// Lenient, as netifd itself is; what is skipped goes to `problems`. Keys other than public ones never get into memory
/// that stays; `text` is the caller's to wipe.
Network readNetwork(std::string_view text, config::Problems& problems);
Network readNetwork(std::string_view text);

/// The same from a file, with nothing of the file left in memory. Errors as readFile().
Result<Network> loadNetwork(const std::string& path);

/// Devices as far as the file tells: those of static and DHCP interfaces, the pppoe-wan of a PPP one, and what aliases
/// (@wan) stand for.
Interfaces devicesOf(const Network& network);

/// Where the peers of tunnels that are not disabled are reached, as far as that is said; `file` is left empty. What is
/// wrong with one goes to `problems`, which repeat no value.
std::vector<PeerEndpoint> endpointsOf(const Network& network, config::Problems& problems);

}  // namespace wgsteer::foreign
