// SPDX-License-Identifier: GPL-2.0-or-later
// The command line's side of the control socket.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer {

/// The daemon's reply. ErrorKind::notThere: no daemon runs in this network namespace; refused: it said no, or the owner
/// of the name is not root; busy: it does not answer within five seconds.
Result<nlohmann::json> askDaemon(std::string_view request);
/// With members in addition to "request"; `members` is an object.
Result<nlohmann::json> askDaemon(std::string_view request, nlohmann::json members);

/// Tells, without waiting, whether the daemon has news for its watchers.
class Subscription {
 public:
  static Result<Subscription> open();
  int descriptor() const { return socket_.get(); }
  /// Discards the news. ErrorKind::notThere when the daemon is gone.
  Status drain();

 private:
  explicit Subscription(os::Fd socket) : socket_(std::move(socket)) {}
  os::Fd socket_;
};

/// Passes on what the daemon sends to its watchers, one document at a time, until `take` returns false or the reader of
/// the descriptor `listener` is gone (no error), or the daemon stops (ErrorKind::notThere).
Status followDaemon(int listener, const std::function<bool(const nlohmann::json&)>& take);

}  // namespace wgsteer
