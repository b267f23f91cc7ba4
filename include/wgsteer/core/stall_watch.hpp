// SPDX-License-Identifier: GPL-2.0-or-later
// Watches the peers of all client tunnels for stalled handshakes, and says which ways to try: see core/stall.hpp for
// when. Server tunnels are left out: they answer, and by the WAN that they were asked on.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/stall.hpp"
#include "wgsteer/core/world.hpp"

namespace wgsteer {

/// A peer was put on another way, or has none left to try.
struct StallNews {
  PeerId peer;
  StallMove move = StallMove::none;  ///< none: it answers by its usual WAN again
  std::string wan;                   ///< by which it goes from now on
  Address address;                   ///< and to which of its addresses
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
  /// A peer whose `stall` or `hold` is another than before begins anew.
  StallOutcome look(const Config& config, const World& world, Instant now, WallSeconds wallClock);

 private:
  struct Watched {
    StallConfig config;
    StallAutomaton automaton;
    Address home;  ///< where the peer was when it last answered by its usual way
    /// It did not answer, and the kernel chooses among equal WANs by flow: left to that, it would be back on the dead
    /// one. So it is given one from now on.
    bool named = false;
  };
  std::map<PeerId, Watched> watched_;
};

}  // namespace wgsteer
