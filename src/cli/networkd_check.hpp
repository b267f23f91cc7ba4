// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "foreign/networkd_check.hpp"

namespace wgsteer::cli {

using foreign::inspectNetworkd;

}  // namespace wgsteer::cli
