// SPDX-License-Identifier: GPL-2.0-or-later
// Which name servers belong to which link, as far as other programs have written it down.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"

#include "foreign/interfaces.hpp"

namespace wgsteer::foreign {

/// Where those programs write. A file that is not there says nothing.
struct LinkServerFiles {
  std::string netifd = "/tmp/resolv.conf.d/resolv.conf.auto";
  std::string interfaces = kInterfacesFile;  ///< which devices netifd's interfaces are
  /// systemd-networkd's: a file for each link, called by its index.
  std::string networkd = "/run/systemd/netif/links";
};

using Servers = std::vector<Address>;

/// netifd's resolv.conf.auto, by interface: "# Interface wan", and "nameserver 192.0.2.53" lines below it.
std::map<std::string, Servers, std::less<>> readResolvConfAuto(std::string_view text);

/// networkd's state of one link: "DNS=192.0.2.53 2001:db8::53". Servers at another port are passed over.
Servers readLinkState(std::string_view text);

/// Those of one device, each once, in the order of the files. Scopes of link-local addresses are left out: it is the
/// device.
Servers serversOf(const LinkServerFiles& files, const IfName& device, IfIndex index);

}  // namespace wgsteer::foreign
