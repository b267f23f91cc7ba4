// SPDX-License-Identifier: GPL-2.0-or-later
#ifndef WGSTEER_TESTS_NETLINK_COUNT_ALLOCATIONS_HPP
#define WGSTEER_TESTS_NETLINK_COUNT_ALLOCATIONS_HPP

#include <cstddef>

namespace wgsteer::netlink::test {

/// Calls of operator new in this process so far.
std::size_t allocations();

}  // namespace wgsteer::netlink::test

#endif
