// SPDX-License-Identifier: GPL-2.0-or-later
// The chains of all other programs, for `check`. The daemon never reads them. Elements of sets are read only for small
// anonymous sets ("udp dport { 80, 443 }"); a named set may have a hundred thousand.
#pragma once

#include "wgsteer/core/firewall.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::nft {

/// ErrorKind::busy when the ruleset changes faster than it can be read.
Result<firewall::Firewall> readForeignChains();

}  // namespace wgsteer::nft
