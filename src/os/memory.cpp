// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/memory.hpp"

#include <cstdlib>  // defines __GLIBC__
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace wgsteer::os {

void returnUnusedMemory() {
#ifdef __GLIBC__
  constexpr std::size_t kMuch = 256UL << 10U;
  if (::mallinfo2().fordblks > kMuch) ::malloc_trim(0);
#endif
}

}  // namespace wgsteer::os
