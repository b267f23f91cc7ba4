// SPDX-License-Identifier: GPL-2.0-or-later
// The program's log, one line at a time. The backend is chosen at build time; no other file includes it.
// Lines are written after the kernel has been changed, never before: a flushed line costs more than a route (26-35 %).
#pragma once

#include <string_view>

#include "wgsteer/core/config.hpp"

namespace wgsteer::log {

/// To stderr: with time and colour on a terminal, with sd-daemon(3) levels under systemd, plain otherwise (or to
/// syslog).
void open(LogLevel level);
void setLevel(LogLevel level);
bool enabled(LogLevel level);

void error(std::string_view line);
void warn(std::string_view line);
void info(std::string_view line);
void debug(std::string_view line);

}  // namespace wgsteer::log
