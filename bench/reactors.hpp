// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon is compared with: programs that know only which route of the policy's table follows from which event
// of wan0. They run forever; each signals through the gate that it has subscribed.
#pragma once

#include <string>

#include "process.hpp"

namespace wgsteer::bench {

inline constexpr const char* kSpareAddress = "10.200.0.10";
inline constexpr const char* kSparePrefix = "10.200.0.0";
inline constexpr std::uint8_t kSpareLength = 24;

/// libmnl, epoll, messages built before the first event.
void runMnlReactor(int device, const Gate& ready);
/// libnl: nl_cache_mngr with its caches of links and routes, routes built and sent by libnl-route.
void runNlReactor(int device, const Gate& ready);
/// `ip monitor` in a pipe to sh(1), which runs `ip route replace` or `delete`.
std::string shellWithIp();
/// The same for links: the policy's table has one default, by wan0 while that is up, by wan1 otherwise.
std::string shellWithLinks();
/// shellWithIp() with `nft -f`: replaces the element of a map.
std::string shellWithNft();
/// What shellWithNft() needs in the kernel.
std::string rulesetForShell();

}  // namespace wgsteer::bench
