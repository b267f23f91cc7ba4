// SPDX-License-Identifier: GPL-2.0-or-later
// Which name servers belong to which link, as far as other programs have recorded it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"

#include "foreign/interfaces.hpp"

namespace wgsteer::foreign {

/// Where those programs write. A missing file is ignored.
struct LinkServerFiles {
  std::string netifd = "/tmp/resolv.conf.d/resolv.conf.auto";
  std::string interfaces = kInterfacesFile;  ///< the devices of netifd's interfaces
  /// systemd-networkd's: a file per link, named by its index.
  std::string networkd = "/run/systemd/netif/links";
};

using Servers = std::vector<Address>;

/// netifd's resolv.conf.auto, by interface: "# Interface wan", and "nameserver 192.0.2.53" lines below it.
std::map<std::string, Servers, std::less<>> readResolvConfAuto(std::string_view text);

/// networkd's state of one link: "DNS=192.0.2.53 2001:db8::53". Servers on another port are ignored.
Servers readLinkState(std::string_view text);

/// The servers of one device, each once, in the order of the files. Scopes of link-local addresses are dropped: they
/// are the device itself.
Servers serversOf(const LinkServerFiles& files, const IfName& device, IfIndex index);

}  // namespace wgsteer::foreign
