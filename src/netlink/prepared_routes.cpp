// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/prepared_routes.hpp"

#include <linux/rtnetlink.h>
#include <variant>

#include "netlink/rtnl.hpp"
#include "netlink/wire.hpp"

namespace wgsteer::netlink {

namespace {

bool append(std::uint16_t type, std::uint16_t flags, const Route& route, std::vector<std::byte>& out) {
  Message message{type, flags};
  encodeRoute(message, route);
  if (!message.whole()) return false;
  const auto bytes = message.finished();
  out.insert(out.end(), bytes.begin(), bytes.end());
  out.resize(aligned(out.size()));
  return true;
}

bool append(const Change& change, std::vector<std::byte>& out) {
  if (const auto* added = std::get_if<AddRoute>(&change))
    return append(RTM_NEWROUTE, additionFlags(added->replace), added->route, out);
  const auto* deleted = std::get_if<DeleteRoute>(&change);
  return deleted != nullptr && append(RTM_DELROUTE, 0, deleted->route, out);
}

}  // namespace

std::uint16_t additionFlags(bool replace) {
  return static_cast<std::uint16_t>(NLM_F_CREATE | (replace ? NLM_F_REPLACE : NLM_F_EXCL));
}

PreparedRoutes::PreparedRoutes(const std::vector<Change>& changes) {
  std::size_t last = 0;
  for (const Change& change : changes) {
    const std::size_t offset = bytes_.size();
    if (!append(change, bytes_)) break;
    changes_.push_back(change);
    last = offset;
  }
  if (!changes_.empty()) reinterpret_cast<nlmsghdr*>(bytes_.data() + last)->nlmsg_flags |= NLM_F_ACK;
}

}  // namespace wgsteer::netlink
