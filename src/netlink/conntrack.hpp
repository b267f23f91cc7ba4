// SPDX-License-Identifier: GPL-2.0-or-later
// Flows known to conntrack, linux/netfilter/nfnetlink_conntrack.h. NAT is decided by the first packet of a flow: one
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

/// A flow to delete, and what identifies it.
struct Flow {
  std::uint8_t family = 0;          ///< AF_INET or AF_INET6
  std::vector<std::uint8_t> tuple;  ///< the original direction's, as the kernel wrote it
  std::optional<std::uint32_t> id;  ///< so that a new flow in its place is kept
  std::optional<std::uint16_t> zone;
};

/// From IPCTNL_MSG_CT_NEW: nullopt unless the flow is UDP to one of these endpoints and its replies go to an address
/// other than those given.
std::optional<Flow> staleFlow(const nlmsghdr* message, const std::map<Endpoint, std::set<Address>>& rightSources);

class Conntrack {
 public:
  /// Deletes the UDP flows to these endpoints whose replies go to an address other than those given for the endpoint,
  /// so that the next packet starts a new flow. Returns how many. It dumps all flows, so the cost grows with their
  /// number; loads the kernel's module if there is one. A kernel without conntrack has no flows to forget.
  Result<std::size_t> forget(const std::map<Endpoint, std::set<Address>>& rightSources);

 private:
  std::optional<RequestSocket> socket_;  ///< opened at the first use
};

}  // namespace wgsteer::netlink
