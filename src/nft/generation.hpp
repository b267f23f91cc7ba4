// SPDX-License-Identifier: GPL-2.0-or-later
// Several dumps of the ruleset make one picture only if nothing was changed in between.
#pragma once

#include <cstdint>
#include <string>

#include "wgsteer/result.hpp"

#include "nft/channel.hpp"

namespace wgsteer::nft {

/// Changes with every commit of any program to the ruleset.
Result<std::uint32_t> generation(Channel& channel);

/// If other programs change the ruleset this many times in a row, each within a fraction of a millisecond, waiting is
/// not worthwhile.
inline constexpr int kMaxReadings = 20;

/// What `read(channel)`, which dumps more than once, returns when all is from one generation of the ruleset; `command`
/// names it in errors. A dump may fail (ENOENT) because its set vanished in between: that is an error only if nothing
/// has changed.
template <class Read>
auto inOneGeneration(Channel& channel, const char* command, Read read) -> decltype(read(channel)) {
  for (int reading = 0; reading < kMaxReadings; ++reading) {
    const auto before = generation(channel);
    if (!before) return std::unexpected(before.error());
    auto found = read(channel);
    const auto after = generation(channel);
    if (!after) return std::unexpected(after.error());
    const bool interrupted =
        !found && (found.error().kind == ErrorKind::overrun || found.error().kind == ErrorKind::busy);
    if (*before == *after && !interrupted) return found;
  }
  return fail(ErrorKind::busy, std::string{command} + ": the ruleset changes faster than it can be read");
}

}  // namespace wgsteer::nft
