// SPDX-License-Identifier: GPL-2.0-or-later
// Which connections were not heard of for a while, from what conntrack shows of them.
//
// Conntrack does not say when the last packet was, and counts packets only with nf_conntrack_acct. But each packet of a
// connection sets the time at which its entry expires anew, to the packet's time plus a timeout that depends on the
// protocol's state; without packets that time stays where it is. So a connection whose entry expires at the same time
// in every look since T has been idle since T. How long it had been idle before the first look is not known: what is
// called idle here was idle at least that long.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "wgsteer/core/time.hpp"

namespace wgsteer {

/// Of connections that left because they were idle.
struct Drained {
  std::size_t forgotten = 0;
  std::size_t left = 0;  ///< others, that are still there
  bool operator==(const Drained&) const = default;
};

class IdleWatch {
 public:
  struct Seen {
    std::uint32_t id = 0;            ///< CTA_ID
    std::chrono::seconds expiresIn;  ///< to the second below
  };

  /// `idle`: how long a connection must not have been heard of.
  explicit IdleWatch(Duration idle) : idle_(idle) {}

  /// What one dump shows, made at `now`. Returns the ids of those that are idle; what the dump does not show is gone.
  /// The looks may be any time apart.
  std::set<std::uint32_t> look(Instant now, const std::vector<Seen>& all);

 private:
  struct Known {
    Instant expiry;  ///< as first seen
    Instant since;   ///< when it was first seen
  };

  /// The rest of a second that the kernel cuts off, and the time that a dump takes. A packet that came less than this
  /// after another one is not noticed, so it is not counted as idle time.
  static constexpr Duration kTolerance = std::chrono::seconds{2};
  Duration idle_;
  std::map<std::uint32_t, Known> known_;
};

}  // namespace wgsteer
