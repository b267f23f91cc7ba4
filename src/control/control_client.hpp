// SPDX-License-Identifier: GPL-2.0-or-later
// The command line's side of the control socket.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer {

/// The daemon's reply. ErrorKind::notThere: no daemon runs in this network namespace; refused: it said no, or whoever
/// holds the name is not root; busy: it does not answer within five seconds.
Result<nlohmann::json> askDaemon(std::string_view request);
/// With further members beside "request"; `members` is an object.
Result<nlohmann::json> askDaemon(std::string_view request, nlohmann::json members);

/// Tells whether the daemon has something to say to its watchers, without waiting for it.
class Subscription {
 public:
  static Result<Subscription> open();
  int descriptor() const { return socket_.get(); }
  /// Throws away what was said. ErrorKind::notThere when the daemon has left.
  Status drain();

 private:
  explicit Subscription(os::Fd socket) : socket_(std::move(socket)) {}
  os::Fd socket_;
};

/// Hands on what the daemon tells its watchers, a document at a time, until `take` returns false or nobody reads what
/// is written to the descriptor `listener` any more (no error), or the daemon leaves (ErrorKind::notThere).
Status followDaemon(int listener, const std::function<bool(const nlohmann::json&)>& take);

}  // namespace wgsteer
