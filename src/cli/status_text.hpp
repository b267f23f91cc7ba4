// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace wgsteer::cli {

/// The status document as tables for people, in lines of at most `width` characters where possible; see table().
std::string statusText(const nlohmann::json& document, std::size_t width);

}  // namespace wgsteer::cli
