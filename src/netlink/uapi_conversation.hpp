// SPDX-License-Identifier: GPL-2.0-or-later
// One request to the process of a user-space WireGuard, and the part of its answer that has arrived. Nothing here
// waits, so a process that hangs delays nothing: its answer is processed whenever it comes.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/time.hpp"
#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer::netlink {

/// A buffer that is wiped whenever it is released, even when it grows, because it contains keys.
class SecretText {
 public:
  SecretText() = default;
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;
  ~SecretText();

  void append(const char* part, std::size_t size);
  std::string_view view() const { return text_; }

 private:
  std::string text_;
};

/// A socket file as it is now; another file under the same path belongs to another process.
struct UapiSocket {
  std::string path;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const UapiSocket&) const = default;
};

/// nullopt: there is no socket under this path, or its folder may not be searched.
std::optional<UapiSocket> uapiSocketAt(std::string path);

/// The sockets of our network namespace, by the names of the files that they were bound to. Processes alone would not
/// say: wireguard-go binds its socket, and leaves it to a child.
class SocketsHere {
 public:
  static SocketsHere look();
  /// Whether one was bound to a file of this name (NAME.sock); true as well where the kernel does not list them.
  bool have(const std::string& fileName) const { return !names_ || names_->contains(fileName); }

 private:
  std::optional<std::set<std::string>> names_;
};

class UapiConversation {
 public:
  enum class State : std::uint8_t { underWay, answered, failed };

  /// Connects and sends. notThere if nobody listens any more, refused if the socket belongs to another user, busy if
  /// the process has not accepted earlier connections for long.
  static Result<std::unique_ptr<UapiConversation>> begin(const UapiSocket& socket, std::string_view request,
                                                         const std::string& what);

  /// Processes what has arrived meanwhile.
  State advance();
  State state() const { return state_; }
  /// Complete when answered.
  std::string_view answer() const { return answer_.view(); }
  int descriptor() const { return fd_.get(); }
  const UapiSocket& socket() const { return socket_; }
  Instant begun() const { return begun_; }

 private:
  UapiConversation(os::Fd fd, UapiSocket socket);

  os::Fd fd_;
  UapiSocket socket_;
  Instant begun_;
  SecretText answer_;
  State state_ = State::underWay;
};

/// Advances them until all are finished or the deadline has passed.
void await(const std::vector<UapiConversation*>& conversations, Instant deadline);

}  // namespace wgsteer::netlink
