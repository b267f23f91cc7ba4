// SPDX-License-Identifier: GPL-2.0-or-later
// Deletes the connections of exits that have died, so that their next packets choose another exit; CullSchedule decides
// when.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/kernel.hpp"

#include "engine/cull_schedule.hpp"

namespace wgsteer {

class ConnectionCuller {
 public:
  /// Connections with this mark have been deleted for the first time in a pair.
  using Tell = std::function<void(MarkMatch, const std::string& why)>;
  using Report = std::function<void(const Error&)>;

  explicit ConnectionCuller(Kernel& kernel) : kernel_(kernel) {}

  /// See CullSchedule. To be followed by cull() once packets have another way.
  void dead(MarkMatch mark, std::optional<Family> family, const std::string& why);
  void alive(MarkMatch mark, std::optional<Family> family);
  /// Marks mean something else from now on.
  void clear() { schedule_.clear(); }

  /// Deletes what is due. What could not be deleted is due again later, unless that would not help; the error is
  /// reported if it is not the last one's.
  void cull(Instant now, const Tell& tell, const Report& report);
  /// When to call cull() next; nullopt if there is no need.
  std::optional<Instant> nextDue() const { return schedule_.nextDue(); }

 private:
  Kernel& kernel_;
  CullSchedule schedule_;
  std::string trouble_;  ///< as last reported; empty since it works again
};

}  // namespace wgsteer
