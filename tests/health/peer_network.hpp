// SPDX-License-Identifier: GPL-2.0-or-later
// The remote end of WANs: a separate network namespace, sockets of this process in it, and a loop that serves these and
// a prober in turn, so that no waiting is needed.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "wgsteer/core/health.hpp"

#include "health/prober.hpp"
#include "os/fd.hpp"
#include "support/netns.hpp"

namespace wgsteer::health::test {

/// Lives as long as this does.
class PeerNetwork {
 public:
  PeerNetwork();
  PeerNetwork(const PeerNetwork&) = delete;
  PeerNetwork& operator=(const PeerNetwork&) = delete;
  ~PeerNetwork();

  std::string shell(const std::string& command) const;
  /// A veth pair: `device` here, 192.0.2.2/24 and 2001:db8::2/64; its other end there, with .1 and ::1 and as many more
  /// addresses from .11 and ::11 on. Default routes use it with the given metric.
  void addWan(const std::string& device, int metric, int subnet = 2) const;
  /// A non-blocking socket in there, bound to address (empty: any) and port.
  os::Fd socketIn(int domain, int type, int protocol, const std::string& address = {}, std::uint16_t port = 0) const;

 private:
  pid_t holder_ = -1;
  os::Fd own_;
  os::Fd theirs_;
};

/// A function to call when the descriptor is readable during a round.
struct Service {
  int descriptor = -1;
  std::function<void()> serve;
};

/// Runs a whole round. Fails the test after ten seconds.
std::vector<TargetRound> probeOnce(Prober& prober, const std::vector<Service>& services = {});
/// Continues the round that was started.
std::vector<TargetRound> finishRound(Prober& prober, const std::vector<Service>& services = {});

}  // namespace wgsteer::health::test
