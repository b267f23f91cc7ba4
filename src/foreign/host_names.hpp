// SPDX-License-Identifier: GPL-2.0-or-later
// Collects the endpoints of peers from the files of other programs.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "wgsteer/result.hpp"

#include "config/uci_path.hpp"
#include "foreign/file_error.hpp"
#include "foreign/peer_endpoint.hpp"

namespace wgsteer::foreign {

/// Where those programs look. A missing folder or file counts as empty.
struct HostNameFolders {
  /// The folders of wg-quick(8) and of AmneziaWG's awg-quick.
  std::vector<std::string> wgQuick = {"/etc/wireguard", "/etc/amnezia/amneziawg"};
  /// In systemd's order: a file with the same name in a later folder does not count (systemd.netdev(5)).
  std::vector<std::string> networkd = {"/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network",
                                       "/usr/lib/systemd/network", "/lib/systemd/network"};
  /// In NetworkManager's order: a profile with the same UUID in a later folder does not count.
  std::vector<std::string> networkManager = {"/run/NetworkManager/system-connections",
                                             "/etc/NetworkManager/system-connections",
                                             "/usr/lib/NetworkManager/system-connections"};
  /// Files of OpenWrt: the first one that exists.
  std::vector<std::string> netifd = config::uciFiles("network");
};

/// More files in one folder are not read, and an error says so.
inline constexpr std::size_t kMaxHostNameFiles = 1024;

struct HostNames {
  /// wg-quick's first, then networkd's, NetworkManager's and netifd's, each in the order of its files.
  std::vector<PeerEndpoint> peers;
  /// One for each file or folder with something wrong, "FILE:LINE: OPTION: what", a line each. The valid parts of that
  /// file, and all other files, count nevertheless.
  std::vector<FileError> errors;
  /// Where a change may affect the peers: the folders above, existing or not, drop-in folders, and the folders of link
  /// targets.
  std::set<std::string> folders;
};

HostNames readHostNames(const HostNameFolders& folders = {});

}  // namespace wgsteer::foreign
