// SPDX-License-Identifier: GPL-2.0-or-later
// Decisions made by hand (`wgsteer wan NAME up|down`), remembered in a file until they are taken back, so that a daemon
// that was restarted or killed goes on with them.
//
// Failure: what cannot be written is still known in memory; what cannot be read counts as no decision.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer {

struct WanOverride {
  bool up = false;     ///< to be used whatever probes say; false: not to be used
  std::string reason;  ///< a user's words; may be empty
  bool operator==(const WanOverride&) const = default;
  /// "by hand: maintenance", or "by hand".
  std::string toString() const { return reason.empty() ? "by hand" : "by hand: " + reason; }
};

class WanOverrides {
 public:
  using ByName = std::map<std::string, WanOverride>;

  /// "wans" in stateFolder().
  static std::string defaultFile(const std::string& serviceFolder = "/var/lib/wgsteer");

  explicit WanOverrides(std::string file = defaultFile()) : file_(std::move(file)) {}

  /// No file means no decision. ErrorKind::malformed: something else wrote it; io: it cannot be read. Nothing is known
  /// then, and the file stays as it is until the next decision.
  Status load();
  /// Nothing takes a decision back. It is known in any case, then `act` is called, for the disk may be slow; the error
  /// says why it will be forgotten.
  Status set(const std::string& wan, const std::optional<WanOverride>& decision, const std::function<void()>& act);
  const ByName& all() const { return all_; }
  /// WANs that are not to be used, in either family: what World::wansDown is before anything has been probed.
  WansDown down() const;

 private:
  Status save() const;

  std::string file_;
  ByName all_;
};

}  // namespace wgsteer
