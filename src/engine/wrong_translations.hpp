// SPDX-License-Identifier: GPL-2.0-or-later
// Deletes connections of rules that are translated to an address which is wrong on their exit, so that their next
// packet is translated anew. To find them the kernel dumps all connections, so it is asked ten times a second at most;
// what is wrong meanwhile is not forgotten.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>

#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/kernel.hpp"

namespace wgsteer {

class WrongTranslations {
 public:
  using Tell = std::function<void(std::size_t)>;  ///< how many were deleted, if any were
  using Report = std::function<void(const Error&)>;

  explicit WrongTranslations(Kernel& kernel) : kernel_(kernel) {}

  /// Of connections by their mark. What is right now is no longer wrong.
  void note(const std::map<Mark, Translations>& known);
  /// Marks mean something else from now on.
  void clear() { wrong_.clear(); }

  /// Deletes what is due. After an error the same is due again.
  void forget(Instant now, std::uint32_t markMask, const Tell& tell, const Report& report);
  /// When to call forget() next; nullopt if there is no need.
  std::optional<Instant> nextDue() const;

 private:
  static constexpr Duration kPause = std::chrono::milliseconds{100};

  Kernel& kernel_;
  std::map<Mark, std::set<Address>> wrong_;
  std::optional<Instant> last_;
};

}  // namespace wgsteer
