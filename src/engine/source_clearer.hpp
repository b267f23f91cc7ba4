// SPDX-License-Identifier: GPL-2.0-or-later
// Clears the source addresses that WireGuard has cached, at once, and again later if once may not suffice.
#pragma once

#include <map>

#include "wgsteer/core/track.hpp"
#include "wgsteer/kernel.hpp"

namespace wgsteer {

class SourceClearer {
 public:
  explicit SourceClearer(Kernel& kernel) : kernel_(kernel) {}

  /// No error if the tunnel is gone.
  Status clear(const Tunnel& tunnel, const Picture& picture, const Numbers& numbers);
  /// If the former WAN still works, an answer in flight over it makes sticky sockets (wireguard-go) return to it for
  /// good. The kernel's WireGuard looks the source up again, or the `source` chain corrects it.
  void clearLater(const Tunnel& tunnel);
  /// To be called at each poll. The last error, if any.
  Status clearLateOnes(const Picture& picture, const Numbers& numbers);

 private:
  /// Two polls are a second apart: longer than any packet is in flight.
  static constexpr int kPolls = 2;
  Kernel& kernel_;
  std::map<IfName, int> late_;  ///< number of further polls at which to clear again
};

}  // namespace wgsteer
