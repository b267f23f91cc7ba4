// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace wgsteer::cli {

/// The status document as tables for people.
std::string statusText(const nlohmann::json& document);

}  // namespace wgsteer::cli
