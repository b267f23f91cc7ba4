// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/control_client.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <sys/time.h>
#include <unistd.h>
#include <vector>

#include "engine/control_access.hpp"
#include "engine/control_socket.hpp"

namespace wgsteer {

namespace {

constexpr timeval kPatience{.tv_sec = 5, .tv_usec = 0};

Result<os::Fd> connectToDaemon() {
  os::Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!socket) return fail(ErrorKind::io, std::string{"control socket: "} + std::strerror(errno), errno);
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  const ControlAddress name = controlAddress();
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&name.address), name.length) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT) return fail(ErrorKind::notThere, "wgsteer does not run", errno);
    return fail(ErrorKind::busy, std::string{"control socket @wgsteer: "} + std::strerror(errno), errno);
  }
  // Anybody may take an abstract name before the daemon does.
  if (!isOwnPeer(socket.get()))
    return fail(ErrorKind::notThere, "control socket @wgsteer is held by somebody else than root");
  return socket;
}

/// A daemon that ends does so without an answer; those whom it does not know are told.
std::unexpected<Error> hungUp() { return fail(ErrorKind::notThere, "wgsteer closed the connection"); }

/// What has arrived beyond the line is kept for the next.
Result<std::string> receiveLine(int socket, std::string& received) {
  std::vector<char> part(64 << 10);
  while (true) {
    if (const auto end = received.find('\n'); end != std::string::npos) {
      std::string line = received.substr(0, end);
      received.erase(0, end + 1);
      return line;
    }
    const auto size = read(socket, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size == 0 || (size < 0 && errno == ECONNRESET)) return hungUp();
    if (size < 0) return fail(ErrorKind::busy, "wgsteer does not answer", errno);
    received.append(part.data(), static_cast<std::size_t>(size));
  }
}

Result<nlohmann::json> receive(int socket, std::string& received) {
  const auto line = receiveLine(socket, received);
  if (!line) return std::unexpected(line.error());
  auto document = nlohmann::json::parse(*line, nullptr, false);
  if (!document.is_object()) return fail(ErrorKind::malformed, "wgsteer's answer is no JSON object");
  return document;
}

Result<nlohmann::json> ask(int socket, nlohmann::json request, std::string& received) {
  request["version"] = kControlVersion;
  const std::string line = request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const auto sent = send(socket, line.data(), line.size(), MSG_NOSIGNAL);
  // A refusal may lie there to be read: those who may not ask are told so before they do.
  if (sent < 0 && errno != EPIPE && errno != ECONNRESET)
    return fail(ErrorKind::busy, std::string{"control socket: send: "} + std::strerror(errno), errno);
  auto reply = receive(socket, received);
  if (reply && !reply->value("ok", false)) return fail(ErrorKind::refused, reply->value("error", "wgsteer refused"));
  return reply;
}

}  // namespace

Result<nlohmann::json> askDaemon(std::string_view request) { return askDaemon(request, nlohmann::json::object()); }

Result<nlohmann::json> askDaemon(std::string_view request, nlohmann::json members) {
  members["request"] = request;
  auto socket = connectToDaemon();
  if (!socket) return std::unexpected(socket.error());
  std::string received;
  return ask(socket->get(), std::move(members), received);
}

Result<Subscription> Subscription::open() {
  auto socket = connectToDaemon();
  if (!socket) return std::unexpected(socket.error());
  std::string received;
  if (const auto reply = ask(socket->get(), {{"request", "monitor"}}, received); !reply)
    return std::unexpected(reply.error());
  return Subscription{std::move(*socket)};
}

Status Subscription::drain() {
  std::array<char, 4096> part{};
  while (true) {
    const auto size = recv(socket_.get(), part.data(), part.size(), MSG_DONTWAIT);
    if (size > 0 || (size < 0 && errno == EINTR)) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    return fail(ErrorKind::notThere, "wgsteer closed the connection");
  }
}

Status followDaemon(const std::function<bool(const nlohmann::json&)>& take) {
  auto socket = connectToDaemon();
  if (!socket) return std::unexpected(socket.error());
  std::string received;
  if (const auto reply = ask(socket->get(), {{"request", "monitor"}}, received); !reply)
    return std::unexpected(reply.error());
  const timeval forEver{};
  setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &forEver, sizeof forEver);
  while (true) {
    const auto document = receive(socket->get(), received);
    if (!document) return std::unexpected(document.error());
    if (!take(*document)) return {};
  }
}

}  // namespace wgsteer
