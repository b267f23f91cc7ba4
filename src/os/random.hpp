// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers that nobody else can predict, without ever waiting for them: a daemon that starts early at boot must not
// block until the kernel has gathered entropy (getrandom(2)).
#pragma once

#include <cstdint>
#include <span>

namespace wgsteer::os {

/// While the kernel has none, or a sandbox forbids to ask: from the clock and the process, so only different each time.
void fillRandom(std::span<std::uint8_t> bytes);
std::uint32_t randomNumber();

}  // namespace wgsteer::os
