// SPDX-License-Identifier: GPL-2.0-or-later
// What a configuration leaves to other programs. On OpenWrt a WAN may be named by its interface, whose device netifd
// knows, and a configuration without WANs means those of mwan3.
#pragma once

#include <string>

#include "wgsteer/core/config.hpp"
#include "wgsteer/result.hpp"

#include "foreign/interfaces.hpp"
#include "foreign/mwan3.hpp"
#include "foreign/netifd.hpp"

namespace wgsteer::foreign {

struct OpenWrtFiles {
  std::string interfaces = kInterfacesFile;
  std::string mwan3 = mwan3File();
  std::string network = networkFile();
};

/// Fills in what netifd and mwan3 know: Config::netifd, WANs and their devices. Nothing changes on a host without
/// netifd. Fails if one of the files exists but cannot be read: taken for missing, it would cost WANs their devices.
Status complete(Config& config, const OpenWrtFiles& files = {});

}  // namespace wgsteer::foreign
