// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/uapi_conversation.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <utility>

#include "os/lines.hpp"
#include "os/timer.hpp"

namespace wgsteer::netlink {

namespace {

/// Ten thousand peers are about 4 MB.
constexpr std::size_t kMaxAnswer = 16 << 20;
constexpr std::size_t kFirstSize = 64 << 10;

/// The owner of a socket to which we may not connect.
std::string ownerOf(const std::string& path) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0) return {};
  return ": the socket belongs to user " + std::to_string(found.st_uid) + ", and this process lacks CAP_DAC_OVERRIDE";
}

Result<os::Fd> connectTo(const std::string& path, const std::string& what) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(ErrorKind::refused, what + ": path is too long");
  path.copy(address.sun_path, path.size());
  os::Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (const int code = errno; !socket) return fail(ErrorKind::io, what + ": " + std::strerror(code), code);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  const int code = errno;
  const std::string why = what + ": " + path + ": " + std::strerror(code);
  // ECONNREFUSED: the socket file of a dead process. EPROTOTYPE: a datagram socket, so not a UAPI socket.
  if (code == ENOENT || code == ECONNREFUSED || code == ENOTDIR || code == EPROTOTYPE)
    return fail(ErrorKind::notThere, why, code);
  if (code == EACCES || code == EPERM) return fail(ErrorKind::refused, why + ownerOf(path), code);
  if (code == EAGAIN) return fail(ErrorKind::busy, what + ": its process does not answer", code);
  return fail(ErrorKind::io, why, code);
}

/// Whether a line of /proc/net/unix is that of a listening socket bound to a file: "0000: 00000002 00000000 00010000
/// ...".
bool listens(std::string_view line) {
  constexpr std::string_view kAcceptsConnections = "00010000";
  for (int field = 0; field < 3; ++field) {
    line = line.substr(std::min(line.find(' '), line.size()));
    line = line.substr(std::min(line.find_first_not_of(' '), line.size()));
  }
  return line.substr(0, line.find(' ')) == kAcceptsConnections;
}

}  // namespace

/// Sockets can be found across namespaces by their file, but are listed only in their own. Connected ones show the
/// file's name as well, in the namespace of the client.
SocketsHere SocketsHere::look() {
  SocketsHere here;
  std::set<std::string> names;
  const Status read = os::forEachLine("/proc/self/net/unix", [&](std::string_view line) {
    if (const auto name = line.find_last_of("/ "); line.ends_with(".sock") && listens(line))
      names.emplace(line.substr(name + 1));
    return true;
  });
  if (read) here.names_ = std::move(names);
  return here;
}

SecretText::~SecretText() { explicit_bzero(text_.data(), text_.capacity()); }

void SecretText::append(const char* part, std::size_t size) {
  if (text_.size() + size > text_.capacity()) {
    std::string larger;
    larger.reserve(std::max(kFirstSize, 2 * text_.capacity() + size));
    larger = text_;
    explicit_bzero(text_.data(), text_.capacity());
    text_.swap(larger);
  }
  text_.append(part, size);
}

std::optional<UapiSocket> uapiSocketAt(std::string path) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return std::nullopt;
  return UapiSocket{std::move(path), found.st_dev, found.st_ino};
}

UapiConversation::UapiConversation(os::Fd fd, UapiSocket socket)
    : fd_(std::move(fd)), socket_(std::move(socket)), begun_(os::monotonicNow()) {}

Result<std::unique_ptr<UapiConversation>> UapiConversation::begin(const UapiSocket& socket, std::string_view request,
                                                                  const std::string& what) {
  auto connected = connectTo(socket.path, what);
  if (!connected) return std::unexpected(connected.error());
  // A request is a few bytes, which a fresh socket takes whole.
  if (::send(connected->get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    const int code = errno;
    return fail(ErrorKind::busy, what + ": " + std::strerror(code), code);
  }
  return std::unique_ptr<UapiConversation>{new UapiConversation{std::move(*connected), socket}};
}

UapiConversation::State UapiConversation::advance() {
  std::array<char, 16384> part{};
  while (state_ == State::underWay) {
    const ssize_t size = ::recv(fd_.get(), part.data(), part.size(), 0);
    if (size > 0) {
      answer_.append(part.data(), static_cast<std::size_t>(size));
      if (answer_.view().ends_with("\n\n")) state_ = State::answered;
      if (answer_.view().size() > kMaxAnswer) state_ = State::failed;
      continue;
    }
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) break;
    // The process has closed the connection: it is ending.
    state_ = State::failed;
  }
  explicit_bzero(part.data(), part.size());
  return state_;
}

void await(const std::vector<UapiConversation*>& conversations, Instant deadline) {
  for (;;) {
    std::vector<pollfd> waiting;
    for (UapiConversation* each : conversations)
      if (each->advance() == UapiConversation::State::underWay)
        waiting.push_back({.fd = each->descriptor(), .events = POLLIN, .revents = 0});
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - os::monotonicNow()).count();
    if (waiting.empty() || left <= 0) return;
    const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(left));
    if (ready == 0 || (ready < 0 && errno != EINTR)) return;
  }
}

}  // namespace wgsteer::netlink
