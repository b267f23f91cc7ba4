// SPDX-License-Identifier: GPL-2.0-or-later
// Watches the peers of all client tunnels for stalled handshakes, and decides which paths to try; core/stall.hpp
// decides when. Server tunnels are left out: they only reply, and over the WAN on which the request came in.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/stall.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// A peer was moved to another path, or has none left to try.
struct StallNews {
  PeerId peer;
  StallMove move = StallMove::none;  ///< none: it answers over its usual WAN again
  std::string wan;                   ///< the one it uses from now on
  Address address;                   ///< the peer's address that it uses from now on
  std::string why;                   ///< "nothing received for 20 s"
};

/// "nothing received for 20 s: trying lte, 203.0.113.55".
std::string describe(const StallNews& news);

struct StallOutcome {
  std::map<PeerId, Stalled> stalled;
  std::vector<StallNews> news;
};

class StallWatch {
 public:
  /// A peer whose `stall` or `hold` has changed starts over.
  StallOutcome look(const Config& config, const World& world, Instant now, WallSeconds wallClock);

 private:
  struct Watched {
    StallConfig config;
    StallAutomaton automaton;
    Address home;  ///< the peer's address when it last answered over its usual path
    /// It did not answer, and the kernel chooses among equal WANs by flow, which would put it back on the dead one. So
    /// it is assigned to one WAN from now on.
    bool named = false;
  };
  std::map<PeerId, Watched> watched_;
};

}  // namespace wgsteer
