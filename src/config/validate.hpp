// SPDX-License-Identifier: GPL-2.0-or-later
// The one validator, whatever format the sections came from.
#pragma once

#include "wgsteer/core/config.hpp"

#include "config/sections.hpp"

namespace wgsteer::config {

/// The result is valid only if no problem was added.
Config validate(const Sections& sections, Problems& problems);

}  // namespace wgsteer::config
