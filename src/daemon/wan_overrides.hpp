// SPDX-License-Identifier: GPL-2.0-or-later
// Overrides by hand (`wgsteer wan NAME up|down`), kept in a file until they are taken back, so that a restarted or
// killed daemon continues with them.
//
// Failure: what cannot be written is still kept in memory; a file that cannot be read counts as no override.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer {

struct WanOverride {
  bool up = false;     ///< use it whatever probes say; false: do not use it
  std::string reason;  ///< as given by the user; may be empty
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

  /// No file means no override. ErrorKind::malformed: another program wrote it; io: it cannot be read. Then there are
  /// no overrides, and the file stays as it is until the next one.
  Status load();
  /// nullopt takes an override back. The decision takes effect in any case: `act` is called before writing, because the
  /// disk may be slow. The error says why the decision will be forgotten.
  Status set(const std::string& wan, const std::optional<WanOverride>& decision, const std::function<void()>& act);
  const ByName& all() const { return all_; }
  /// WANs that must not be used, in either family: the initial value of World::wansDown, before anything has been
  /// probed.
  WansDown down() const;

 private:
  Status save() const;

  std::string file_;
  ByName all_;
};

}  // namespace wgsteer
