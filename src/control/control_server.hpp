// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's side of the control socket. Never blocks, and no client can occupy it: one that reads too slowly is
// disconnected, and so is one that sends no request within `silence`.
//
// Answering a request may publish something, and so disconnect the very client that asked. Its descriptor stays open
// until the request is finished, so that no reply goes to a new client with the same descriptor number.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "wgsteer/core/time.hpp"
#include "wgsteer/result.hpp"

#include "control/control_access.hpp"
#include "control/control_name.hpp"
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
    /// The longest time without a request, except for watchers.
    Duration silence = std::chrono::seconds{10};
  };

  /// ErrorKind::alreadyThere when another daemon serves this network namespace. If another user holds the socket's
  /// name, another name is used: any user may take it, which must not keep a daemon from working.
  static Result<ControlServer> open(ControlAccess access, Limits limits);
  static Result<ControlServer> open(ControlAccess access) { return open(access, Limits{}); }

  /// From here on clients are served. The server must outlive the loop's run.
  Status serve(os::EventLoop& loop, Answer answer);

  /// "wgsteer", or another name while another user holds that.
  const std::string& name() const { return listener_.name; }
  bool isUnderOwnName() const { return listener_.underOwnName; }
  /// Tries to get the name @wgsteer; true if it succeeded. Clients stay connected.
  bool takeOwnName();

  /// Publishes to clients that requested "monitor"; one that does not keep up is disconnected.
  bool watched() const;
  void publish(const nlohmann::json& document);

 private:
  struct Client {
    os::Fd socket;
    bool isOwn = false;  ///< root, or our own user
    std::string received{};
    Instant askedAt{};
    bool watches = false;
    bool gone = false;
  };
  using ClientPtr = std::shared_ptr<Client>;

  ControlServer(ControlListener listener, os::Timer silence, ControlAccess access, Limits limits)
      : listener_(std::move(listener)), silence_(std::move(silence)), access_(access), limits_(limits) {}
  Status listen();
  void accept();
  void pauseListening();
  bool makeRoom(bool forOwn);
  void receive(const ClientPtr& client);
  bool handle(Client& client, const std::string& line);
  static bool tell(const Client& client, const nlohmann::json& document);
  void close(const ClientPtr& client);
  void dismissSilent();

  ControlListener listener_;
  os::Timer silence_;
  ControlAccess access_;
  Limits limits_;
  os::EventLoop* loop_ = nullptr;
  Answer answer_;
  std::vector<ClientPtr> clients_;
  bool paused_ = false;
};

}  // namespace wgsteer
