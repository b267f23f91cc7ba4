// SPDX-License-Identifier: GPL-2.0-or-later
// The WANs of `wgsteer status`, for people.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace wgsteer::cli {

std::string wansText(const nlohmann::json& document, std::size_t width);

}  // namespace wgsteer::cli
