// SPDX-License-Identifier: GPL-2.0-or-later
// A router for a benchmark: WANs on devices that drop everything, the daemon, and user-space tunnels that only answer
// requests.
#pragma once

#include <string>
#include <vector>

#include "process.hpp"
#include "raw.hpp"

namespace wgsteer::bench {

struct Options {
  bool quick = false;
  std::string daemon;  ///< path of wgsteer
  std::string bare;    ///< path of the bare libmnl program
  /// `full`, or for a smoke run the much smaller number.
  int count(int full, int smoke) const { return quick ? smoke : full; }
  int repetitions() const { return quick ? 1 : 3; }
};

/// Default policy's number, mark and table with the default mask.
inline constexpr std::uint32_t kPolicyMark = 0xf0000000;
inline constexpr std::uint32_t kMarkMask = 0xf0000000;
inline constexpr std::uint32_t kPolicyTable = 0x5747010f;
inline constexpr std::uint32_t kMarkPriority = 70;

std::string wanName(int number);
std::string wanAddress(int number);                 ///< 10.100.0.10
std::string wanGateway(int number, int which = 1);  ///< 10.100.0.1
std::uint32_t wanMetric(int number);                ///< in the main table

/// Devices, addresses, default routes in the main table.
void addWans(const Netns& netns, int count);
int deviceIndex(const Netns& netns, const std::string& name);

/// What a daemon maintains for its default policy, set up by hand: the policy's table and the rule for its mark.
void addPolicyByHand(const Netns& netns, int wans);

/// `wgsteer run` in the namespace with a configuration of these WANs; returns when it is ready.
Process startDaemon(const Netns& netns, const Options& options, int wans, bool once = false,
                    const std::string& more = {});
/// The same with the given configuration.
Process startDaemon(const Netns& netns, const Options& options, const std::string& configuration, bool once = false);
/// Only writes the configuration and returns its path, which begins with the name. `more` is appended after the WANs.
std::string writeConfiguration(int wans, const std::string& more = {}, const std::string& name = "bench");
/// A firewall that is not ours: it masquerades what leaves by the first two WANs, so connections are tracked.
void addFirewall(const Netns& netns);

/// TUN devices whose UAPI sockets are served by one process, with the given number of peers each. All peers of all
/// tunnels have different endpoints: endpoint(i) for i from 0.
struct Tunnels {
  std::string prefix;  ///< names are prefix0, prefix1, ...: the sockets of all namespaces are in one folder
  int count = 1;
  int peers = 1;
};
Process startTunnels(const Netns& netns, const Tunnels& tunnels);
std::string endpointAddress(int number);  ///< 100.64.0.1 and so on
inline constexpr std::uint16_t kEndpointPort = 51820;

}  // namespace wgsteer::bench
