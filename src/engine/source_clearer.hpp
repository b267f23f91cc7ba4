// SPDX-License-Identifier: GPL-2.0-or-later
// Makes WireGuard forget the source addresses that it has cached, at once and once more where that may not do.
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
  /// An answer that was under way by the former WAN, when that still works, has sticky sockets (wireguard-go) go back
  /// to it for good. The kernel's WireGuard looks the source up again, or the `source` chain corrects it.
  void clearLater(const Tunnel& tunnel);
  /// To be called at each poll. The last error, if any.
  Status clearLateOnes(const Picture& picture, const Numbers& numbers);

 private:
  /// Two polls lie a second apart: longer than anything is under way.
  static constexpr int kPolls = 2;
  Kernel& kernel_;
  std::map<IfName, int> late_;  ///< at so many further polls
};

}  // namespace wgsteer
