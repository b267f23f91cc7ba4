// SPDX-License-Identifier: GPL-2.0-or-later
// Takes back everything that is ours: the daemon's `flush` and `on_exit = "flush"`, and that of the command line.
#pragma once

#include "wgsteer/core/commit_guard.hpp"
#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/track.hpp"
#include "wgsteer/kernel.hpp"

namespace wgsteer {

struct Flushed {
  Plan plan;
  CommitReport report;
  Status unmarked;  ///< whether connections have lost their marks, if there were any

  /// Names everything that the kernel refused; of the first refusal's kind.
  Status status(const DeviceName& names) const;
};

/// A refused change keeps back no other one. Connections keep their marks while our table, which gives them, remains.
/// Afterwards the picture is what the kernel has, as far as the report knows.
Flushed flush(Kernel& kernel, Picture& picture, const Numbers& numbers);

}  // namespace wgsteer
