// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/flush.hpp"

#include <string>
#include <utility>

#include "wgsteer/core/connection_marks.hpp"

#include "engine/failure_text.hpp"

namespace wgsteer {

Status Flushed::status(const DeviceName& names) const {
  if (report.ok() && unmarked) return {};
  Error error = report.failed.empty() ? unmarked.error() : report.failed.front().status.error();
  error.what = "some state could not be removed";
  error.kernelSays.clear();
  const char* before = ": ";
  const auto add = [&](const std::string& what) { error.what += std::exchange(before, "; ") + what; };
  for (const ChangeResult& result : report.failed) add(failureText(result.change, result.status.error(), names));
  if (!unmarked) add(unmarked.error().toString());
  return std::unexpected(std::move(error));
}

Flushed flush(Kernel& kernel, Picture& picture, const Numbers& numbers) {
  const auto marks = connectionMarks(picture.observed.nft);
  Flushed flushed{.plan = diff(State{}, picture.observed), .report = {}, .unmarked = {}};
  if (!flushed.plan.empty()) flushed.report = kernel.commit(flushed.plan, numbers);
  if (flushed.report.ok())
    settle(picture, flushed.plan, State{});
  else
    settle(picture, flushed.report.made);
  if (marks && !connectionMarks(picture.observed.nft))
    if (auto done = kernel.unmarkConnections(marks->marks, marks->bits); !done)
      flushed.unmarked = std::unexpected(std::move(done.error()));
  return flushed;
}

}  // namespace wgsteer
