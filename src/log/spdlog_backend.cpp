// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdlib>
#include <memory>
#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "log/line_writer.hpp"
#include "log/log.hpp"
#include "log/printable.hpp"

namespace wgsteer::log {

namespace {

/// sd-daemon(3): journald reads the level from "<N>" at the start of a line.
class JournalLevel : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& destination) override {
    static constexpr std::string_view kLevels = "7764322";  // trace debug info warn err critical off
    const auto level = static_cast<std::size_t>(message.level);
    const char prefix[] = {'<', message.level == spdlog::level::info ? '6' : kLevels[level], '>'};
    destination.append(prefix, prefix + sizeof prefix);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JournalLevel>(); }
};

/// Does not wait for the reader.
class StderrSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    writer_.write(formatted(message), [this](const std::string& text) {
      return formatted(spdlog::details::log_msg{"wgsteer", spdlog::level::warn, text});
    });
  }
  void flush_() override {}

 private:
  std::string formatted(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t buffer;
    formatter_->format(message, buffer);
    std::string line{buffer.data(), buffer.size()};
    // The formatter says which part of the line is coloured: none without a terminal.
    if (message.color_range_end <= message.color_range_start) return line;
    line.insert(message.color_range_end, "\033[m");
    return line.insert(message.color_range_start, colourOf(message.level));
  }
  static const char* colourOf(spdlog::level::level_enum level) {
    if (level == spdlog::level::debug) return "\033[36m";
    if (level == spdlog::level::info) return "\033[32m";
    return level == spdlog::level::warn ? "\033[33m\033[1m" : "\033[31m\033[1m";
  }

  LineWriter writer_{STDERR_FILENO};
};

spdlog::level::level_enum toSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::debug:
      break;
  }
  return spdlog::level::debug;
}

std::unique_ptr<spdlog::formatter> formatter() {
  auto made = std::make_unique<spdlog::pattern_formatter>();
  if (isatty(STDERR_FILENO) != 0) {
    made->set_pattern("%H:%M:%S.%e %^%l%$ %v");
  } else if (std::getenv("JOURNAL_STREAM") != nullptr) {
    made->add_flag<JournalLevel>('*').set_pattern("%*%v");
  } else {
    made->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
  }
  return made;
}

void write(spdlog::level::level_enum level, std::string_view line) {
  spdlog::default_logger_raw()->log(level, printable(line));
}

}  // namespace

void open(LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("wgsteer", std::make_shared<StderrSink>());
  logger->set_formatter(formatter());
  logger->set_level(toSpdlog(level));
  spdlog::set_default_logger(std::move(logger));
}

void setLevel(LogLevel level) { spdlog::default_logger_raw()->set_level(toSpdlog(level)); }
bool enabled(LogLevel level) { return spdlog::default_logger_raw()->should_log(toSpdlog(level)); }

void error(std::string_view line) { write(spdlog::level::err, line); }
void warn(std::string_view line) { write(spdlog::level::warn, line); }
void info(std::string_view line) { write(spdlog::level::info, line); }
void debug(std::string_view line) { write(spdlog::level::debug, line); }

}  // namespace wgsteer::log
