// SPDX-License-Identifier: GPL-2.0-or-later
// Writes sections as text, for a generated configuration. Our own readers can read it back.
#pragma once

#include <string>

#include "config/sections.hpp"

namespace wgsteer::config {

std::string toUci(const Sections& sections);
/// Numbers and booleans are unquoted where the schema says so.
std::string toToml(const Sections& sections);

}  // namespace wgsteer::config
