// SPDX-License-Identifier: GPL-2.0-or-later
// Converts mwan3's configuration to ours: WANs with their tracking, and for WireGuard's own packets the policies of the
// rules that concern them. Everything else stays with mwan3.
#pragma once

#include "foreign/mwan3.hpp"
#include "foreign/netifd.hpp"

namespace wgsteer::foreign {

struct Import {
  config::Sections sections;      ///< our schema; valid
  config::Problems notes;         ///< with lines of mwan3's file
  config::Problems networkNotes;  ///< with lines of /etc/config/network
  std::size_t pinned = 0;         ///< rules that concern WireGuard
};

enum class WanBy : std::uint8_t {
  interface,  ///< OpenWrt: netifd knows the device
  device,     ///< elsewhere; an interface whose device the network configuration does not name stays an interface
};

/// Never fails. `notes` from readMwan3() are passed on in Import::notes.
Import importMwan3(const Mwan3& mwan3, const Network& network, WanBy by, config::Problems notes);

/// mwan3's enabled interfaces as WANs, in the order of their metrics, for users who have not configured any for
/// wgsteer. `network` tells which interfaces are tunnels. Their health is mwan3's verdict on the interface.
std::vector<WanConfig> wansOf(std::string_view mwan3File, const Network& network);

/// Fills in WanConfig::ipv6Interface of WANs whose health is mwan3's verdict: to mwan3, wan and wan6 are two
/// interfaces.
void findIpv6Interfaces(std::vector<WanConfig>& wans, std::string_view mwan3File, const Network& network);

}  // namespace wgsteer::foreign
