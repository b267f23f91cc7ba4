// SPDX-License-Identifier: GPL-2.0-or-later
// For small routers: no library, the lines go to logd's ring buffer. Not through syslog(3), which waits for a logd that
// hangs.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <memory>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "log/line_writer.hpp"
#include "log/log.hpp"
#include "log/printable.hpp"

namespace wgsteer::log {

namespace {

constexpr std::string_view kSocket = "/dev/log";

/// The syslog daemon, which may restart at any time.
class Syslog {
 public:
  Syslog() = default;
  Syslog(const Syslog&) = delete;
  Syslog& operator=(const Syslog&) = delete;
  ~Syslog() { disconnect(); }

  void write(int priority, std::string_view line) {
    if (lost_ > 0 && put(LOG_WARNING, "log lines lost: " + std::to_string(lost_))) lost_ = 0;
    if (lost_ > 0 || !put(priority, line)) ++lost_;
  }

 private:
  void disconnect() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }
  bool connected() {
    if (socket_ >= 0) return true;
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    kSocket.copy(address.sun_path, sizeof address.sun_path - 1);
    if (socket_ >= 0 && connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
    disconnect();
    return false;
  }
  /// RFC 3164, in the form that syslog(3) uses.
  bool put(int priority, std::string_view line) {
    std::array<char, 32> time{};
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    std::strftime(time.data(), time.size(), "%b %e %T", localtime_r(&now, &local));
    const std::string message = "<" + std::to_string(LOG_DAEMON | priority) + ">" + time.data() + " wgsteer[" +
                                std::to_string(getpid()) + "]: " + std::string{line};
    for (int attempt = 0; attempt < 2 && connected(); ++attempt) {
      if (send(socket_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
      if (errno == EAGAIN || errno == ENOBUFS) return false;
      disconnect();
    }
    return false;
  }

  int socket_ = -1;
  std::size_t lost_ = 0;
};

LogLevel current = LogLevel::info;
std::unique_ptr<Syslog> logd;
std::unique_ptr<LineWriter> terminal;

void write(LogLevel level, int priority, std::string_view line) {
  if (!enabled(level)) return;
  const std::string shown = printable(line);
  if (logd) logd->write(priority, shown);
  const auto ended = [](const std::string& text) { return "wgsteer: " + text + "\n"; };
  if (terminal) terminal->write(ended(shown), ended);
}

}  // namespace

void open(LogLevel level) {
  current = level;
  logd = std::make_unique<Syslog>();
  if (isatty(STDERR_FILENO) != 0) terminal = std::make_unique<LineWriter>(STDERR_FILENO);
}

void setLevel(LogLevel level) { current = level; }
bool enabled(LogLevel level) { return level <= current; }

void error(std::string_view line) { write(LogLevel::error, LOG_ERR, line); }
void warn(std::string_view line) { write(LogLevel::warn, LOG_WARNING, line); }
void info(std::string_view line) { write(LogLevel::info, LOG_INFO, line); }
void debug(std::string_view line) { write(LogLevel::debug, LOG_DEBUG, line); }

}  // namespace wgsteer::log
