// SPDX-License-Identifier: GPL-2.0-or-later
// Memory that the allocator keeps for what may come: after a start with ten thousand peers, most of what there is.
#pragma once

namespace wgsteer::os {

/// Gives it back to the kernel if it is much (glibc, malloc_trim(3)); musl's allocator does so by itself. For a quiet
/// moment: it takes a few milliseconds for tens of megabytes, and what is needed again costs page faults.
void returnUnusedMemory();

}  // namespace wgsteer::os
