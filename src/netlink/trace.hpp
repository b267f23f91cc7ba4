// SPDX-License-Identifier: GPL-2.0-or-later
// An rtnetlink message in one line, for debug logs and for tests that fail.
#pragma once

#include <linux/netlink.h>
#include <string>

namespace wgsteer::netlink {

/// "RTM_NEWROUTE create replace: ip route default via 192.0.2.1 dev if3 table 1464270849 metric 1 proto 87".
std::string trace(const nlmsghdr* message);

}  // namespace wgsteer::netlink
