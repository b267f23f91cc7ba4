// SPDX-License-Identifier: GPL-2.0-or-later
// mwan3's configuration as ours: WANs with their tracking, and for WireGuard's own packets the policies that its rules
// meant for them. Everything else stays mwan3's business.
#pragma once

#include "foreign/mwan3.hpp"
#include "foreign/netifd.hpp"

namespace wgsteer::foreign {

struct Import {
  config::Sections sections;      ///< our schema; valid
  config::Problems notes;         ///< on the lines of mwan3's file
  config::Problems networkNotes;  ///< on the lines of /etc/config/network
  std::size_t pinned = 0;         ///< rules that were about WireGuard
};

enum class WanBy : std::uint8_t {
  interface,  ///< OpenWrt: netifd knows the device
  device,     ///< elsewhere; an interface whose device the network configuration does not tell stays one
};

/// Never fails. `notes` of readMwan3() go on in Import::notes.
Import importMwan3(const Mwan3& mwan3, const Network& network, WanBy by, config::Problems notes);

/// mwan3's enabled interfaces as WANs, in the order of their metrics: for who has configured none of ours. `network`
/// tells which are tunnels. Their health is what mwan3 says of the interface.
std::vector<WanConfig> wansOf(std::string_view mwan3File, const Network& network);

/// Fills in WanConfig::ipv6Interface of WANs whose health is what mwan3 says: for it, wan and wan6 are two interfaces.
void findIpv6Interfaces(std::vector<WanConfig>& wans, std::string_view mwan3File, const Network& network);

}  // namespace wgsteer::foreign
