// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's side of the control socket. Never blocks: a client that is slow to read is let go.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "wgsteer/result.hpp"

#include "os/event_loop.hpp"
#include "os/fd.hpp"

namespace wgsteer {

class ControlServer {
 public:
  /// Answers a request, whose member "request" is a string; the result is merged into the reply.
  using Answer = std::function<nlohmann::json(const nlohmann::json& request)>;

  /// ErrorKind::alreadyThere when another daemon serves this network namespace.
  static Result<ControlServer> open();

  /// From here on clients are served. The server must outlive the loop's run.
  Status serve(os::EventLoop& loop, Answer answer);

  /// For clients that have asked for "monitor"; one that does not keep up is let go.
  bool watched() const { return watchers_ > 0; }
  void publish(const nlohmann::json& document);

 private:
  explicit ControlServer(os::Fd listener) : listener_(std::move(listener)) {}
  void accept();
  void receive(int client);
  bool handle(int client, const std::string& line);
  bool tell(int client, const nlohmann::json& document);
  void close(int client);

  struct Client {
    os::Fd socket;
    std::string received;
    bool watches = false;
  };
  os::Fd listener_;
  os::EventLoop* loop_ = nullptr;
  Answer answer_;
  std::map<int, Client> clients_;
  std::size_t watchers_ = 0;
};

}  // namespace wgsteer
