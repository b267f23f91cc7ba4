// SPDX-License-Identifier: GPL-2.0-or-later
// A user-space WireGuard that answers as a test specifies, in a process of its own, so that its answers are never in
// the test's memory.
#pragma once

#include <functional>
#include <string>
#include <sys/types.h>

#include "os/fd.hpp"
#include "support/temp_folder.hpp"

namespace wgsteer::netlink::test {

class SocketFolder {
 public:
  std::string path() const { return temp_.path(); }

 private:
  wgsteer::test::TempFolder temp_;
};

/// Listens from its construction on, but answers nobody.
class DeafServer {
 public:
  DeafServer(const SocketFolder& folder, const std::string& device, int backlog = 16);
  int descriptor() const { return socket_.get(); }

 private:
  os::Fd socket_;
};

/// Answers each conversation with the result of `answer` for the request; an empty answer closes the connection.
class TalkingServer {
 public:
  using AnswerTo = std::function<std::string(const std::string& request)>;
  TalkingServer(const SocketFolder& folder, const std::string& device, const AnswerTo& answer);
  TalkingServer(const TalkingServer&) = delete;
  TalkingServer& operator=(const TalkingServer&) = delete;
  ~TalkingServer() { stop(); }
  /// As if killed: its socket file stays.
  void stop();

 private:
  pid_t process_ = -1;
};

}  // namespace wgsteer::netlink::test
