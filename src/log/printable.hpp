// SPDX-License-Identifier: GPL-2.0-or-later
// What comes from outside (names of devices and WANs, reasons, others' error texts) as it may be written for people: a
// terminal obeys escape sequences, and a line break in a name would be a line of the log.
#pragma once

#include <string>
#include <string_view>

namespace wgsteer::log {

/// Control characters, and bytes that are not UTF-8, as "\x1b"; all else as it is.
std::string printable(std::string_view text);
/// The same for text of several lines: their ends stay.
std::string printableLines(std::string_view text);

}  // namespace wgsteer::log
