// SPDX-License-Identifier: GPL-2.0-or-later
// In a file of its own: GCC 12 sees an inlined free() of what operator new returned as a mismatch.
#include "netlink/count_allocations.hpp"

#include <cstdlib>
#include <new>

namespace {
std::size_t count = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++count;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

std::size_t wgsteer::netlink::test::allocations() { return count; }
