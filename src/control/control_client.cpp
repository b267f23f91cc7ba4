// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/control_client.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <string>
#include <sys/time.h>
#include <unistd.h>
#include <vector>

#include "control/control_name.hpp"
#include "control/control_socket.hpp"

namespace wgsteer {

namespace {

constexpr timeval kPatience{.tv_sec = 5, .tv_usec = 0};

Result<os::Fd> connectPatiently() {
  auto socket = connectToDaemon();
  if (!socket) return socket;
  setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  setsockopt(socket->get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  return socket;
}

/// A daemon that stops closes the connection without an answer; clients that it refuses get one.
std::unexpected<Error> hungUp() { return fail(ErrorKind::notThere, "wgsteer closed the connection"); }

/// Whatever arrived after the line is kept for the next call.
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
    if (size < 0) return fail(ErrorKind::busy, "wgsteer does not respond", errno);
    received.append(part.data(), static_cast<std::size_t>(size));
  }
}

Result<nlohmann::json> receive(int socket, std::string& received) {
  const auto line = receiveLine(socket, received);
  if (!line) return std::unexpected(line.error());
  auto document = nlohmann::json::parse(*line, nullptr, false);
  if (!document.is_object()) return fail(ErrorKind::malformed, "wgsteer's answer is not a JSON object");
  return document;
}

Result<nlohmann::json> ask(int socket, nlohmann::json request, std::string& received) {
  request["version"] = kControlVersion;
  const std::string line = request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const auto sent = send(socket, line.data(), line.size(), MSG_NOSIGNAL);
  // A refusal may be waiting to be read: clients without permission get it before they ask.
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
  auto socket = connectPatiently();
  if (!socket) return std::unexpected(socket.error());
  std::string received;
  return ask(socket->get(), std::move(members), received);
}

Result<Subscription> Subscription::open() {
  auto socket = connectPatiently();
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

namespace {

/// False when the reader of our output is gone, which no write would reveal before there is something to write.
bool awaitNews(int socket, int listener) {
  std::array<pollfd, 2> ready{
      {{.fd = socket, .events = POLLIN, .revents = 0}, {.fd = listener, .events = 0, .revents = 0}}};
  while (::poll(ready.data(), ready.size(), -1) < 0 && errno == EINTR) {
  }
  return ready[1].revents == 0;
}

}  // namespace

Status followDaemon(int listener, const std::function<bool(const nlohmann::json&)>& take) {
  auto socket = connectPatiently();
  if (!socket) return std::unexpected(socket.error());
  std::string received;
  if (const auto reply = ask(socket->get(), {{"request", "monitor"}}, received); !reply)
    return std::unexpected(reply.error());
  while (!received.empty() || awaitNews(socket->get(), listener)) {
    const auto document = receive(socket->get(), received);
    if (!document) return std::unexpected(document.error());
    if (!take(*document)) return {};
  }
  return {};
}

}  // namespace wgsteer
