// SPDX-License-Identifier: GPL-2.0-or-later
// What systemd-networkd does with rules and routes that are not its own: networkd.conf(5).
#pragma once

#include <string>
#include <vector>

namespace wgsteer::foreign {

/// Whether networkd deletes rules and routes that it does not know, whenever it starts.
struct NetworkdConf {
  bool managesForeignRules = true;
  bool managesForeignRoutes = true;
};

/// Folders of networkd.conf and networkd.conf.d, the one that takes precedence first.
inline const std::vector<std::string> kNetworkdConfFolders{"/etc/systemd", "/run/systemd", "/usr/local/lib/systemd",
                                                           "/usr/lib/systemd"};

/// networkd.conf of the first folder that has one, then all drop-ins in the order of their names: of several with one
/// name, the first folder's. The last assignment counts. Files that cannot be read are passed over, as by networkd.
NetworkdConf readNetworkdConf(const std::vector<std::string>& folders = kNetworkdConfFolders);

}  // namespace wgsteer::foreign
