// SPDX-License-Identifier: GPL-2.0-or-later
// For small routers: no library, logd's ring takes the lines.
#include <syslog.h>
#include <unistd.h>

#include "log/log.hpp"

namespace wgsteer::log {

namespace {

LogLevel current = LogLevel::info;

void write(LogLevel level, int priority, std::string_view line) {
  if (enabled(level)) syslog(priority, "%.*s", static_cast<int>(line.size()), line.data());
}

}  // namespace

void open(LogLevel level) {
  current = level;
  openlog("wgsteer", LOG_PID | (isatty(STDERR_FILENO) != 0 ? LOG_PERROR : 0), LOG_DAEMON);
}

void setLevel(LogLevel level) { current = level; }
bool enabled(LogLevel level) { return level <= current; }

void error(std::string_view line) { write(LogLevel::error, LOG_ERR, line); }
void warn(std::string_view line) { write(LogLevel::warn, LOG_WARNING, line); }
void info(std::string_view line) { write(LogLevel::info, LOG_INFO, line); }
void debug(std::string_view line) { write(LogLevel::debug, LOG_DEBUG, line); }

}  // namespace wgsteer::log
