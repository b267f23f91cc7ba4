// SPDX-License-Identifier: GPL-2.0-or-later
// Which of WireGuard's own packets a rule of mwan3 is about: those from the tunnel's listen_port to a peer's endpoint.
#pragma once

#include "foreign/mwan3.hpp"
#include "foreign/netifd.hpp"

namespace wgsteer::foreign {

/// The packets of a tunnel to one of its peers; without a peer, to endpoints that no file names: those of clients,
/// which the kernel learns.
struct Flow {
  const NetifdInterface* tunnel = nullptr;
  const NetifdPeer* peer = nullptr;
};

enum class Concern : std::uint8_t {
  none,
  everything,  ///< it applies to these packets as to any others
  guessed,     ///< its address may be that of the peer's host name, and its port fits
  meant,
};

/// As far as that can be told without DNS, and by what the rule's author meant: ports count also where mwan3 ignores
/// them, and the source does not (see namesSource()).
Concern concernOf(const Mwan3Rule& rule, const Network& network, const Flow& flow);

inline bool isAbout(Concern concern) { return concern >= Concern::guessed; }

/// Why a rule that is about nothing of the tunnel seems to be nevertheless; empty if it does not.
std::string whyNotAbout(const Mwan3Rule& rule, const Network& network, const NetifdInterface& tunnel);

/// Whether it is restricted to certain sources or to an incoming interface, which excludes the router's own packets.
bool namesSource(const Mwan3Rule& rule);

}  // namespace wgsteer::foreign
