// SPDX-License-Identifier: GPL-2.0-or-later
// Who may use the control socket: root, the daemon's own user, and the members of one group. An abstract socket has no
// permissions of its own, so the credentials of each client are checked (SO_PEERCRED and SO_PEERGROUPS, unix(7) and
// socket(7)).
#pragma once

#include <optional>
#include <string_view>
#include <sys/types.h>

namespace wgsteer {

inline constexpr std::string_view kControlGroup = "wgsteer";

/// Root, or the user of this process.
bool isOwnPeer(int socket);

class ControlAccess {
 public:
  /// Looks the group up once: a name service that hangs must not hang the daemon later. The group need not exist.
  static ControlAccess ofGroup(std::string_view name);
  explicit ControlAccess(std::optional<gid_t> group = {}) : group_(group) {}

  /// Credentials are those at the time of connect(2).
  bool permits(int socket) const;

 private:
  std::optional<gid_t> group_;
};

}  // namespace wgsteer
