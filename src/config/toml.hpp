// SPDX-License-Identifier: GPL-2.0-or-later
// TOML into sections. The only place that knows toml++.
#pragma once

#include <string_view>

#include "config/sections.hpp"

namespace wgsteer::config {

/// `text` is valid UTF-8 without NUL and without very long lines (see load.cpp). What is wrong goes to `problems`; what
/// could be read is returned all the same.
Sections readToml(std::string_view text, Problems& problems);

}  // namespace wgsteer::config
