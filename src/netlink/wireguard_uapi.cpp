// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/wireguard_uapi.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "os/fd.hpp"
#include "os/timer.hpp"

namespace wgsteer::netlink {

namespace {

constexpr std::chrono::milliseconds kPatience{500};
/// Ten thousand peers are about 4 MB.
constexpr std::size_t kMaxAnswer = 16 << 20;

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Waits for the descriptor until the deadline.
bool awaitReady(int descriptor, short events, std::chrono::nanoseconds deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - os::monotonicNow()).count();
    if (left <= 0) return false;
    pollfd wait{.fd = descriptor, .events = events, .revents = 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

/// A buffer that is wiped whenever it is given up, also when it grows: its contents are keys.
class SecretText {
 public:
  SecretText() { text_.reserve(kFirstSize); }
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText() { explicit_bzero(text_.data(), text_.capacity()); }

  void append(const char* part, std::size_t size) {
    if (text_.size() + size > text_.capacity()) {
      std::string larger;
      larger.reserve(2 * text_.capacity() + size);
      larger = text_;
      explicit_bzero(text_.data(), text_.capacity());
      text_.swap(larger);
    }
    text_.append(part, size);
  }
  std::string_view view() const { return text_; }

 private:
  static constexpr std::size_t kFirstSize = 64 << 10;
  std::string text_;
};

Status refusedBy(const IfName& device, int code) {
  return fail(ErrorKind::refused, "wg " + device + ": its process answers errno " + std::to_string(code), code);
}

/// Puts one line of a peer's section into the peer.
void takePeerLine(std::string_view key, std::string_view value, Peer& peer) {
  if (key == "endpoint") peer.endpoint = Endpoint::parse(value);
  if (key == "persistent_keepalive_interval") peer.persistentKeepalive = number<std::uint16_t>(value).value_or(0);
  if (key == "last_handshake_time_sec") peer.lastHandshake = number<std::int64_t>(value).value_or(0);
  if (key == "rx_bytes") peer.receivedBytes = number<std::uint64_t>(value).value_or(0);
  if (key == "tx_bytes") peer.sentBytes = number<std::uint64_t>(value).value_or(0);
  if (key == "allowed_ip")
    if (const auto prefix = Prefix::parse(value)) peer.allowedIps.push_back(*prefix);
}

}  // namespace

Result<Tunnel> parseUapi(std::string_view answer, const IfName& device) {
  Tunnel tunnel{.name = device, .backend = TunnelBackend::userspace, .fwmark = {}, .listenPort = 0, .peers = {}};
  bool ended = false;
  while (!answer.empty() && !ended) {
    const auto end = answer.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = answer.substr(0, end);
    answer.remove_prefix(end + 1);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    if (key == "private_key" || key == "preshared_key") continue;
    if (key == "errno") {
      ended = true;
      if (value != "0") return std::unexpected(refusedBy(device, number<int>(value).value_or(-1)).error());
    } else if (key == "public_key") {
      const auto parsed = PublicKey::parseHex(value);
      if (!parsed) return fail(ErrorKind::malformed, "wg " + device + ": its process sends a public key that is none");
      tunnel.peers.emplace_back().publicKey = *parsed;
    } else if (!tunnel.peers.empty()) {
      takePeerLine(key, value, tunnel.peers.back());
    } else if (key == "listen_port") {
      tunnel.listenPort = number<std::uint16_t>(value).value_or(0);
    } else if (key == "fwmark") {
      tunnel.fwmark = Mark{number<std::uint32_t>(value).value_or(0)};
    }
  }
  if (!ended) return fail(ErrorKind::malformed, "wg " + device + ": its process sends half an answer");
  std::ranges::sort(tunnel.peers, {}, &Peer::publicKey);
  return tunnel;
}

namespace {

Result<os::Fd> connectTo(const std::string& path, const std::string& what) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(ErrorKind::refused, what + ": path is too long");
  path.copy(address.sun_path, path.size());
  os::Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) return fail(ErrorKind::io, what + ": " + std::strerror(errno), errno);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  const int code = errno;
  // ECONNREFUSED: the socket file of a process that has died. EAGAIN: its queue is full, it hangs.
  // EPROTOTYPE: a datagram socket, so nobody's UAPI.
  const bool absent = code == ENOENT || code == ECONNREFUSED || code == ENOTDIR || code == EPROTOTYPE;
  const ErrorKind kind = absent ? ErrorKind::notThere : code == EAGAIN ? ErrorKind::busy : ErrorKind::io;
  return fail(kind, what + ": " + std::strerror(code), code);
}

/// Reads up to the empty line that ends an answer.
Status readAnswer(int socket, std::chrono::nanoseconds deadline, SecretText& answer, const std::string& what) {
  std::array<char, 16384> part{};
  Status outcome;
  while (!answer.view().ends_with("\n\n")) {
    const ssize_t size = ::recv(socket, part.data(), part.size(), 0);
    if (size > 0) {
      answer.append(part.data(), static_cast<std::size_t>(size));
      if (answer.view().size() <= kMaxAnswer) continue;
      outcome = fail(ErrorKind::malformed, what + ": the answer has no end");
      break;
    }
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN && awaitReady(socket, POLLIN, deadline)) continue;
    // Also when it has hung up: a process that is ending.
    outcome = fail(ErrorKind::busy, what + ": no whole answer", size < 0 ? errno : 0);
    break;
  }
  explicit_bzero(part.data(), part.size());
  return outcome;
}

Status converse(const std::string& path, std::string_view request, SecretText& answer, const std::string& what) {
  const auto deadline = os::monotonicNow() + kPatience;
  auto socket = connectTo(path, what);
  if (!socket) return std::unexpected(socket.error());
  // A request is a few bytes, which a fresh socket takes whole.
  if (::send(socket->get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
    return fail(ErrorKind::busy, what + ": " + std::strerror(errno), errno);
  return readAnswer(socket->get(), deadline, answer, what);
}

}  // namespace

std::string WireGuardUapi::socketPath(const IfName& device) const { return directory_ + "/" + device + ".sock"; }

Result<Tunnel> WireGuardUapi::read(const IfName& device) const {
  SecretText answer;
  if (auto done = converse(socketPath(device), "get=1\n\n", answer, "wg show " + device); !done)
    return std::unexpected(done.error());
  return parseUapi(answer.view(), device);
}

Status WireGuardUapi::set(const IfName& device, const std::string& lines, const std::string& what) const {
  SecretText answer;
  if (auto done = converse(socketPath(device), "set=1\n" + lines + "\n", answer, what); !done) return done;
  if (answer.view().starts_with("errno=0\n")) return {};
  return fail(ErrorKind::refused, what + ": its process refuses");
}

Status WireGuardUapi::setFwmark(const IfName& device, Mark fwmark) const {
  return set(device, "fwmark=" + std::to_string(fwmark.value) + "\n",
             "wg set " + device + " fwmark " + hex(fwmark.value));
}

Status WireGuardUapi::setEndpoint(const IfName& device, const PublicKey& peer, const Endpoint& endpoint) const {
  return set(device, "public_key=" + peer.toHex() + "\nupdate_only=true\nendpoint=" + endpoint.toString() + "\n",
             "wg set " + device + " peer " + peer.toString() + " endpoint " + endpoint.toString());
}

Status WireGuardUapi::unstick(const IfName& device, Mark fwmark, std::optional<Mark> equivalent,
                              std::uint16_t listenPort) const {
  const std::string back = "fwmark=" + std::to_string(fwmark.value) + "\n";
  const std::string lines = equivalent ? "fwmark=" + std::to_string(equivalent->value) + "\n" + back
                                       : "listen_port=" + std::to_string(listenPort) + "\n";
  return set(device, lines, "wg set " + device + " (cached sources)");
}

}  // namespace wgsteer::netlink
