// SPDX-License-Identifier: GPL-2.0-or-later
// Sections as text, for a configuration that a program makes. Our own readers take it back.
#pragma once

#include <string>

#include "config/sections.hpp"

namespace wgsteer::config {

std::string toUci(const Sections& sections);
/// Numbers and booleans without quotation marks where the schema has such.
std::string toToml(const Sections& sections);

}  // namespace wgsteer::config
