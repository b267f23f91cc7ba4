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

/// networkd.conf of the first folder that has one, then all drop-ins in the order of their names: of several with one
/// name, the first folder's. The last assignment counts. Files that cannot be read are passed over, as by networkd.
/// `folders` have networkd.conf and networkd.conf.d, and the one that takes precedence is the first.
NetworkdConf readNetworkdConf(const std::vector<std::string>& folders = {"/etc/systemd", "/run/systemd",
                                                                         "/usr/local/lib/systemd", "/usr/lib/systemd"});

}  // namespace wgsteer::foreign
