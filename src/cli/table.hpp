// SPDX-License-Identifier: GPL-2.0-or-later
// Text in columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace wgsteer::cli {

using Row = std::vector<std::string>;

/// All rows have as many cells as the first one, which holds the headings. Lines have at most `width` characters (0: no
/// limit): columns that do not fit are printed below each row as pairs of heading and value, except those with "-".
std::string table(const std::vector<Row>& rows, std::size_t width);

/// "-" for null and for empty strings.
std::string text(const nlohmann::json& value);

/// "90 s", "2 h".
std::string duration(std::int64_t seconds);

}  // namespace wgsteer::cli
