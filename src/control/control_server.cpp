// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/control_server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

#include "control/control_request.hpp"
#include "control/control_socket.hpp"

namespace wgsteer {

namespace {

/// Large enough for the status of ten thousand peers.
constexpr int kSendBuffer = 8 << 20;
/// How long no client is accepted after there was no descriptor, or memory, for one.
constexpr std::chrono::seconds kPause{1};
/// More than one round accepts: clients that are refused at once wait in the same queue.
constexpr int kBacklog = 128;

std::string lineOf(const nlohmann::json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// Says why, so that the client does not mistake it for a daemon that has just stopped.
void refuse(int client, const char* why) {
  const std::string line = lineOf({{"version", kControlVersion}, {"ok", false}, {"error", why}});
  send(client, line.data(), line.size(), MSG_NOSIGNAL);
}

}  // namespace

Result<ControlServer> ControlServer::open(ControlAccess access, Limits limits) {
  auto silence = os::Timer::create();
  if (!silence) return std::unexpected(silence.error());
  auto listener = listenAsDaemon(kBacklog);
  if (!listener) return std::unexpected(listener.error());
  return ControlServer{std::move(*listener), std::move(*silence), access, limits};
}

Status ControlServer::serve(os::EventLoop& loop, Answer answer) {
  loop_ = &loop;
  answer_ = std::move(answer);
  if (auto watched = loop.watch(silence_.descriptor(), [this] { dismissSilent(); }); !watched) return watched;
  return listen();
}

Status ControlServer::listen() {
  return loop_->watch(listener_.socket.get(), [this] { accept(); });
}

bool ControlServer::takeOwnName() {
  if (isUnderOwnName() || loop_ == nullptr) return false;
  auto own = listenUnderOwnName(kBacklog);
  if (!own) return false;
  loop_->unwatch(listener_.socket.get());
  listener_ = std::move(*own);
  if (!paused_ && !listen()) pauseListening();
  return true;
}

bool ControlServer::watched() const {
  return std::ranges::any_of(clients_, [](const ClientPtr& client) { return client->watches; });
}

void ControlServer::accept() {
  os::Fd socket{accept4(listener_.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (!socket) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pauseListening();
    return;
  }
  if (!access_.permits(socket.get()))
    return refuse(socket.get(), "permission denied: only root and the group wgsteer may connect");
  const bool isOwn = isOwnPeer(socket.get());
  if (clients_.size() >= limits_.clients && !makeRoom(isOwn)) return refuse(socket.get(), "too many clients");
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer);
  const int descriptor = socket.get();
  auto client = std::make_shared<Client>(Client{.socket = std::move(socket), .isOwn = isOwn});
  client->askedAt = os::monotonicNow();
  if (!loop_->watch(descriptor, [this, client] { receive(client); })) return;
  if (std::ranges::all_of(clients_, [](const ClientPtr& other) { return other->watches; }))
    silence_.arm(limits_.silence);
  clients_.push_back(std::move(client));
}

// Waiting clients stay in the queue, so the listener stays readable: if it were still watched, it would keep waking up
// the loop for nothing.
void ControlServer::pauseListening() {
  loop_->unwatch(listener_.socket.get());
  paused_ = true;
  silence_.arm(kPause);
}

/// Root always gets in: the client that has been silent for longest makes room, watchers only after all others, and
/// root's own clients last of all. Members of the group wait for each other.
bool ControlServer::makeRoom(bool forOwn) {
  if (!forOwn) return false;
  const auto stays = [](const ClientPtr& client) {
    return std::tuple{client->isOwn && client->watches, client->watches, client->isOwn, client->askedAt};
  };
  const auto first = std::ranges::min_element(clients_, {}, stays);
  if (first == clients_.end()) return false;
  close(ClientPtr{*first});
  return true;
}

void ControlServer::dismissSilent() {
  silence_.acknowledge();
  if (paused_) paused_ = !listen().has_value();
  const auto now = os::monotonicNow();
  std::vector<ClientPtr> silent;
  Duration next{0};
  for (const ClientPtr& client : clients_) {
    if (client->watches) continue;
    const auto left = client->askedAt + limits_.silence - now;
    if (left.count() <= 0)
      silent.push_back(client);
    else if (next.count() == 0 || left < next)
      next = left;
  }
  for (const ClientPtr& client : silent) close(client);
  if (paused_) next = kPause;
  if (next.count() > 0) silence_.arm(next);
}

/// The descriptor is closed when the last reference to the client is gone.
void ControlServer::close(const ClientPtr& client) {
  if (std::exchange(client->gone, true)) return;
  loop_->unwatch(client->socket.get());
  std::erase(clients_, client);
}

void ControlServer::receive(const ClientPtr& held) {
  // The handler that holds it ends with the watch.
  const ClientPtr client = held;  // NOLINT(performance-unnecessary-copy-initialization)
  std::array<char, 1024> part{};
  const auto size = read(client->socket.get(), part.data(), part.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return close(client);
  client->received.append(part.data(), static_cast<std::size_t>(size));
  while (!client->gone) {
    const auto end = client->received.find('\n');
    if (end == std::string::npos) break;
    const std::string line = client->received.substr(0, end);
    client->received.erase(0, end + 1);
    client->askedAt = os::monotonicNow();
    if (!handle(*client, line)) close(client);
  }
  if (client->received.size() > kMaxRequest) close(client);
}

/// False if the client is to be disconnected.
bool ControlServer::handle(Client& client, const std::string& line) {
  const auto request = readRequest(line);
  nlohmann::json reply{{"version", kControlVersion}, {"ok", false}};
  if (!request) {
    reply["error"] = request.error().what;
  } else if ((*request)["request"] == "monitor") {
    client.watches = true;
    reply["ok"] = true;
  } else {
    reply.update(answer_(*request));
  }
  return !client.gone && tell(client, reply);
}

bool ControlServer::tell(const Client& client, const nlohmann::json& document) {
  const std::string text = lineOf(document);
  return send(client.socket.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

void ControlServer::publish(const nlohmann::json& document) {
  const std::vector<ClientPtr> all = clients_;
  for (const ClientPtr& client : all)
    if (client->watches && !client->gone && !tell(*client, document)) close(client);
}

}  // namespace wgsteer
