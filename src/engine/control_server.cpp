// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/control_server.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include <utility>
#include <vector>

#include "engine/control_request.hpp"
#include "engine/control_socket.hpp"

namespace wgsteer {

namespace {

/// A status of ten thousand peers in one go.
constexpr int kSendBuffer = 8 << 20;
/// How long nobody is let in when there was no descriptor, or memory, for the next one.
constexpr std::chrono::seconds kBreather{1};

std::string lineOf(const nlohmann::json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// So that nobody takes it for a daemon that has just ended.
void refuse(int client, const char* why) {
  const std::string line = lineOf({{"version", kControlVersion}, {"ok", false}, {"error", why}});
  send(client, line.data(), line.size(), MSG_NOSIGNAL);
}

/// Whoever listens under our name: another daemon, or somebody that a daemon has nothing to do with.
bool heldByDaemon(const ControlAddress& name) {
  const os::Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  return socket && connect(socket.get(), reinterpret_cast<const sockaddr*>(&name.address), name.length) == 0 &&
         isOwnPeer(socket.get());
}

}  // namespace

Result<ControlServer> ControlServer::open(ControlAccess access, Limits limits) {
  auto silence = os::Timer::create();
  if (!silence) return std::unexpected(silence.error());
  os::Fd listener{socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!listener) return fail(ErrorKind::io, std::string{"control socket: "} + std::strerror(errno), errno);
  const ControlAddress name = controlAddress();
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&name.address), name.length) != 0) {
    if (errno != EADDRINUSE)
      return fail(ErrorKind::io, std::string{"control socket @wgsteer: "} + std::strerror(errno), errno);
    if (heldByDaemon(name))
      return fail(ErrorKind::alreadyThere,
                  "wgsteer runs already in this network namespace (control socket @wgsteer is taken)", EADDRINUSE);
    return fail(ErrorKind::refused, "control socket @wgsteer is held by somebody else than root", EADDRINUSE);
  }
  if (::listen(listener.get(), static_cast<int>(limits.clients)) != 0)
    return fail(ErrorKind::io, std::string{"control socket: listen: "} + std::strerror(errno), errno);
  return ControlServer{std::move(listener), std::move(*silence), access, limits};
}

Status ControlServer::serve(os::EventLoop& loop, Answer answer) {
  loop_ = &loop;
  answer_ = std::move(answer);
  if (auto watched = loop.watch(silence_.descriptor(), [this] { dismissSilent(); }); !watched) return watched;
  return listen();
}

Status ControlServer::listen() {
  return loop_->watch(listener_.get(), [this] { accept(); });
}

void ControlServer::accept() {
  os::Fd client{accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  if (!client) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) breathe();
    return;
  }
  if (!access_.permits(client.get())) return refuse(client.get(), "only root and the group wgsteer may ask");
  if (clients_.size() >= limits_.clients) return refuse(client.get(), "too many clients");
  setsockopt(client.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer);
  const int descriptor = client.get();
  if (!loop_->watch(descriptor, [this, descriptor] { receive(descriptor); })) return;
  if (clients_.size() == watchers_) silence_.arm(limits_.silence);
  clients_[descriptor] = {.socket = std::move(client), .received = {}, .askedAt = os::monotonicNow()};
}

// Who waits stays in the queue, so that the listener stays readable: watched on, it would keep the loop awake for
// nothing.
void ControlServer::breathe() {
  loop_->unwatch(listener_.get());
  breathes_ = true;
  silence_.arm(kBreather);
}

void ControlServer::dismissSilent() {
  silence_.acknowledge();
  if (breathes_) breathes_ = !listen().has_value();
  const auto now = os::monotonicNow();
  std::vector<int> silent;
  std::chrono::nanoseconds next{0};
  for (const auto& [descriptor, client] : clients_) {
    if (client.watches) continue;
    const auto left = client.askedAt + limits_.silence - now;
    if (left.count() <= 0)
      silent.push_back(descriptor);
    else if (next.count() == 0 || left < next)
      next = left;
  }
  for (const int descriptor : silent) close(descriptor);
  if (breathes_) next = kBreather;
  if (next.count() > 0) silence_.arm(next);
}

void ControlServer::close(int client) {
  loop_->unwatch(client);
  if (clients_[client].watches) --watchers_;
  clients_.erase(client);
}

void ControlServer::receive(int client) {
  std::string& received = clients_[client].received;
  std::array<char, 1024> part{};
  const auto size = read(client, part.data(), part.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return close(client);
  received.append(part.data(), static_cast<std::size_t>(size));
  for (auto end = received.find('\n'); end != std::string::npos; end = received.find('\n')) {
    const std::string line = received.substr(0, end);
    received.erase(0, end + 1);
    clients_[client].askedAt = os::monotonicNow();
    if (!handle(client, line)) return close(client);
  }
  if (received.size() > kMaxRequest) close(client);
}

bool ControlServer::handle(int client, const std::string& line) {
  const auto request = readRequest(line);
  nlohmann::json reply{{"version", kControlVersion}, {"ok", false}};
  if (!request) {
    reply["error"] = request.error().what;
  } else if ((*request)["request"] == "monitor") {
    if (!std::exchange(clients_[client].watches, true)) ++watchers_;
    reply["ok"] = true;
  } else {
    reply.update(answer_(*request));
  }
  return tell(client, reply);
}

bool ControlServer::tell(int client, const nlohmann::json& document) {
  const std::string text = lineOf(document);
  return send(client, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

void ControlServer::publish(const nlohmann::json& document) {
  std::vector<int> lost;
  for (const auto& [client, state] : clients_)
    if (state.watches && !tell(client, document)) lost.push_back(client);
  for (const int client : lost) close(client);
}

}  // namespace wgsteer
