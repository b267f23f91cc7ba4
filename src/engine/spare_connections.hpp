// SPDX-License-Identifier: GPL-2.0-or-later
// Connections on an exit of their policy that is no longer the best. Those that were never answered have nothing to
// lose there and begin anew at once, by the best. With Failback::drain the others follow, each when it has been idle
// for a while.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wgsteer/core/idle_watch.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/core/traffic.hpp"
#include "wgsteer/kernel.hpp"

namespace wgsteer {

class SpareConnections {
 public:
  using Report = std::function<void(const Error&)>;
  /// This many idle connections have been deleted.
  using Tell = std::function<void(MarkMatch, std::size_t)>;

  explicit SpareConnections(Kernel& kernel) : kernel_(kernel) {}

  /// All exits of which this is so now; to be followed by look().
  void follow(const std::vector<SpareExit>& spares, Instant now);
  /// Does what is due. What fails is due again later; the error is reported if it is not the last one's.
  void look(Instant now, const Tell& tell, const Report& report);
  /// When to call look() next; nullopt if there is no need.
  std::optional<Instant> nextDue() const;

 private:
  struct Watched {
    SpareExit exit;
    bool silentOnesGone = false;
    std::optional<IdleWatch> idle;  ///< from the first look on
    std::optional<Instant> due;     ///< nothing: there is nothing left to do
  };
  Status lookAt(Watched& watched, Instant now, const Tell& tell);

  /// A look walks through all connections of the kernel.
  static constexpr Duration kLookEvery = std::chrono::seconds{10};

  Kernel& kernel_;
  std::map<std::pair<Mark, Family>, Watched> watched_;
  std::string trouble_;  ///< as last reported; empty since it works again
};

}  // namespace wgsteer
