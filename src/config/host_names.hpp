// SPDX-License-Identifier: GPL-2.0-or-later
// Every peer's endpoint in the files of other programs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "wgsteer/result.hpp"

#include "config/peer_endpoint.hpp"

namespace wgsteer::config {

/// Where those programs look. A folder or file that is not there holds nothing.
struct HostNameFolders {
  std::string wgQuick = "/etc/wireguard";
  /// In systemd's order: a file of the same name in a later folder does not count (systemd.netdev(5)).
  std::vector<std::string> networkd = {"/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network",
                                       "/usr/lib/systemd/network"};
  /// A file, OpenWrt's.
  std::string netifd = "/etc/config/network";
};

/// Further files of a folder are not read, and an error says so.
inline constexpr std::size_t kMaxHostNameFiles = 1024;

struct HostNames {
  std::vector<PeerEndpoint> peers;  ///< wg-quick's first, then networkd's and netifd's, each in the order of its files
  /// One for each file or folder with something wrong, "FILE:LINE: OPTION: what", a line each. What is right in that
  /// file, and the other files, count all the same.
  std::vector<Error> errors;
};

HostNames readHostNames(const HostNameFolders& folders = {});

}  // namespace wgsteer::config
