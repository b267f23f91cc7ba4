// SPDX-License-Identifier: GPL-2.0-or-later
// When to delete the connections of exits that have died. At once, and again a moment later: a packet that was routed
// before may have made its entry after the first deletion. The kernel walks through all its connections for each of
// them, so for exits that come and go these pairs are limited; what is over the limit waits, and is never dropped.
// Those that begin at one time, for all policies that have lost one exit, count as one.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/time.hpp"

namespace wgsteer {

class CullSchedule {
 public:
  struct Cull {
    MarkMatch mark;
    std::optional<Family> family;  ///< none: both
    std::string why;               ///< as told last
    bool again = false;            ///< the second deletion of a pair
    auto operator<=>(const Cull&) const = default;
  };

  /// The exit that this mark stands for is dead. A mark that waits already keeps its place.
  void dead(MarkMatch mark, const std::string& why, std::optional<Family> family = {});
  /// It can be used again: nothing of it is due any more, since connections that it has now are good.
  void alive(MarkMatch mark, std::optional<Family> family = {});
  /// Nothing is due any more; the limits stay.
  void clear();

  /// What must be deleted now: second deletions, then first ones in the order in which they were told. Each is returned
  /// once.
  std::vector<Cull> take(Instant now);
  /// When take() has more; nullopt if nothing waits.
  std::optional<Instant> nextDue() const;

 private:
  struct Pair {
    Instant began;
    std::optional<Cull> again;  ///< until the second deletion is done
  };
  using Key = std::pair<MarkMatch, std::optional<Family>>;
  static Key keyOf(const Cull& cull) { return {cull.mark, cull.family}; }
  Instant nextPairOf(const Key& key) const;
  /// When those that are told now may begin, whatever their marks.
  Instant nextWindow() const;
  void begin(Instant now);

  static constexpr Duration kAgainAfter = std::chrono::milliseconds{300};
  static constexpr Duration kPairPeriod = std::chrono::seconds{2};  ///< between two pairs of the same mark
  static constexpr Duration kWindow = std::chrono::minutes{1};
  static constexpr std::size_t kBegunInWindow = 20;

  std::vector<Cull> waiting_;  ///< for their first deletion
  std::map<Key, Pair> pairs_;  ///< the last one of each mark
  std::deque<Instant> began_;  ///< when pairs began, the last kBegunInWindow times
};

}  // namespace wgsteer
