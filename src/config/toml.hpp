// SPDX-License-Identifier: GPL-2.0-or-later
// Reads TOML into sections. The only place that uses toml++.
#pragma once

#include <string_view>

#include "config/sections.hpp"

namespace wgsteer::config {

/// `text` is valid UTF-8 without NUL and without very long lines (see load.cpp). Errors go to `problems`; whatever
/// could be read is returned nevertheless.
Sections readToml(std::string_view text, Problems& problems);

}  // namespace wgsteer::config
