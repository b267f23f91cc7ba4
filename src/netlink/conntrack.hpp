// SPDX-License-Identifier: GPL-2.0-or-later
// Flows that conntrack knows, linux/netfilter/nfnetlink_conntrack.h. NAT is decided by the first packet of a flow: one
// that was masqueraded with the address of a WAN that has gone keeps it until the flow is forgotten.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/result.hpp"

#include "netlink/request_socket.hpp"

namespace wgsteer::netlink {

/// A flow that is to be forgotten, and what it is deleted by.
struct Flow {
  std::uint8_t family = 0;          ///< AF_INET or AF_INET6
  std::vector<std::uint8_t> tuple;  ///< the original direction's, as the kernel wrote it
  std::optional<std::uint32_t> id;  ///< so that a flow which has taken its place stays
  std::optional<std::uint16_t> zone;
};

/// From IPCTNL_MSG_CT_NEW: nothing unless the flow is UDP to one of these endpoints, and answered to another address.
std::optional<Flow> staleFlow(const nlmsghdr* message, const std::map<Endpoint, std::set<Address>>& rightSources);

class Conntrack {
 public:
  /// Deletes the UDP flows to these endpoints that are answered to another address than one of those given for the
  /// endpoint: the next packet begins anew. Returns how many. One dump of all flows, so its cost grows with their
  /// number; loads the kernel's module if there is one. A kernel without conntrack has no flows to forget.
  Result<std::size_t> forget(const std::map<Endpoint, std::set<Address>>& rightSources);

 private:
  std::optional<RequestSocket> socket_;  ///< since the first use
};

}  // namespace wgsteer::netlink
