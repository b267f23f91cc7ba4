// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/control_access.hpp"

#include <algorithm>
#include <cerrno>
#include <grp.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace wgsteer {

namespace {

std::optional<ucred> credentialsOf(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return {};
  return peer;
}

/// Without the primary group. Also empty if the kernel does not tell (before Linux 4.13).
std::vector<gid_t> supplementaryGroupsOf(int socket) {
  std::vector<gid_t> groups(32);
  while (true) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const bool told = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0;
    const std::size_t count = size / sizeof(gid_t);
    // ERANGE comes with the required size.
    if (!told && (errno != ERANGE || count <= groups.size())) return {};
    groups.resize(count);
    if (told) return groups;
  }
}

}  // namespace

bool isOwnPeer(int socket) {
  const auto peer = credentialsOf(socket);
  return peer && (peer->uid == 0 || peer->uid == geteuid());
}

ControlAccess ControlAccess::ofGroup(std::string_view name) {
  const group* found = getgrnam(std::string{name}.c_str());
  return found == nullptr ? ControlAccess{} : ControlAccess{found->gr_gid};
}

bool ControlAccess::permits(int socket) const {
  if (isOwnPeer(socket)) return true;
  if (!group_) return false;
  const auto peer = credentialsOf(socket);
  return peer && (peer->gid == *group_ || std::ranges::count(supplementaryGroupsOf(socket), *group_) > 0);
}

}  // namespace wgsteer
