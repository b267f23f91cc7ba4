// SPDX-License-Identifier: GPL-2.0-or-later
// What /etc/config/network says about WireGuard and the devices below it (netifd's wireguard.sh, interface.c).
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

/// /etc/config/network, or the file that overrides it.
inline std::string networkFile() { return config::firstThere(config::uciFiles("network")); }

/// `config wireguard_wg0`. Host names exist only here: the kernel keeps addresses.
struct NetifdPeer {
  std::string publicKey;  ///< as written, possibly invalid
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
  std::string device;  ///< as written: eth1, br-wan, @wan; empty if the protocol creates it
  std::string tunlink;
  std::string fwmark;
  std::string listenPort;
  std::string ip4table;
  std::string ip6table;
  std::string gateway;  ///< of a static one, IPv4
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

/// Lenient, as netifd itself is; what is skipped goes to `problems`. Keys other than public ones are never stored;
/// wiping `text` is up to the caller.
Network readNetwork(std::string_view text, config::Problems& problems);
Network readNetwork(std::string_view text);

/// The same from a file, leaving nothing of the file in memory. Errors as in readFile().
Result<Network> loadNetwork(const std::string& path);

/// Devices as far as the file names them: those of static and DHCP interfaces, the pppoe-wan of a PPP interface, and
/// the targets of aliases (@wan).
Interfaces devicesOf(const Network& network);

/// The endpoints of peers of tunnels that are not disabled, as far as they are given; `file` is left empty. Errors go
/// to `problems`, which never quote a value.
std::vector<PeerEndpoint> endpointsOf(const Network& network, config::Problems& problems);

}  // namespace wgsteer::foreign
