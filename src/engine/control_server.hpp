// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's side of the control socket. Never blocks, and nobody can take it from the others: a client that is slow
// to read is let go, and one that asks nothing after a while.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "wgsteer/result.hpp"

#include "engine/control_access.hpp"
#include "os/event_loop.hpp"
#include "os/fd.hpp"
#include "os/timer.hpp"

namespace wgsteer {

class ControlServer {
 public:
  /// Answers a request, whose member "request" is a string; the result is merged into the reply.
  using Answer = std::function<nlohmann::json(const nlohmann::json& request)>;

  struct Limits {
    std::size_t clients = 16;
    /// Without a request, for whoever does not watch.
    std::chrono::nanoseconds silence = std::chrono::seconds{10};
  };

  /// ErrorKind::alreadyThere when another daemon serves this network namespace, ErrorKind::refused when a stranger
  /// holds the socket's name: anybody may, so that must not keep a daemon from its work.
  static Result<ControlServer> open(ControlAccess access, Limits limits);
  static Result<ControlServer> open(ControlAccess access) { return open(access, Limits{}); }

  /// From here on clients are served. The server must outlive the loop's run.
  Status serve(os::EventLoop& loop, Answer answer);

  /// For clients that have asked for "monitor"; one that does not keep up is let go.
  bool watched() const { return watchers_ > 0; }
  void publish(const nlohmann::json& document);

 private:
  ControlServer(os::Fd listener, os::Timer silence, ControlAccess access, Limits limits)
      : listener_(std::move(listener)), silence_(std::move(silence)), access_(access), limits_(limits) {}
  Status listen();
  void accept();
  void breathe();
  void receive(int client);
  bool handle(int client, const std::string& line);
  bool tell(int client, const nlohmann::json& document);
  void close(int client);
  void dismissSilent();

  struct Client {
    os::Fd socket;
    std::string received;
    std::chrono::nanoseconds askedAt{};
    bool watches = false;
  };
  os::Fd listener_;
  os::Timer silence_;
  ControlAccess access_;
  Limits limits_;
  os::EventLoop* loop_ = nullptr;
  Answer answer_;
  std::map<int, Client> clients_;
  std::size_t watchers_ = 0;
  bool breathes_ = false;
};

}  // namespace wgsteer
