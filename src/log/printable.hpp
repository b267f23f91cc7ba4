// SPDX-License-Identifier: GPL-2.0-or-later
// Makes text from outside (names of devices and WANs, reasons, error texts of other programs) safe to show: a terminal
// obeys escape sequences, and a line break in a name would start a new line of the log.
#pragma once

#include <string>
#include <string_view>

namespace wgsteer::log {

/// Control characters and bytes that are not UTF-8 become "\x1b" and the like; everything else is unchanged.
std::string printable(std::string_view text);
/// The same for text of several lines: newlines stay.
std::string printableLines(std::string_view text);

}  // namespace wgsteer::log
