// SPDX-License-Identifier: GPL-2.0-or-later
// Flows known to conntrack, linux/netfilter/nfnetlink_conntrack.h. NAT is decided by the first packet of a flow: one
// that was masqueraded with the address of a WAN that has gone keeps it until the flow is forgotten. And a connection
// whose mark stands for an exit that has died begins anew, by another exit, when it is forgotten.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/idle_watch.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/time.hpp"
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

/// An entry of conntrack that has a mark.
struct MarkedFlow {
  Flow flow;
  Mark mark;
  /// The other side has sent something; also when the kernel does not say.
  bool answered = true;
  /// Time until the entry expires without another packet, to the second below. Nothing for an entry whose packets do
  /// not prolong it: its flow is in a flowtable, or someone has fixed its time.
  std::optional<std::chrono::seconds> expiresIn;
  /// What its source is translated to, if it is: where its replies go to.
  std::optional<Address> translatedTo;
};

/// From IPCTNL_MSG_CT_NEW: nullopt if it is malformed, or has no bit of its mark under the mask.
std::optional<MarkedFlow> markedFlow(const nlmsghdr* message, std::uint32_t mask);

/// Opens its socket at the first use. Every method loads the kernel's module if there is one, and a kernel without
/// conntrack, or without its marks, has no flows: that is no error.
class Conntrack {
 public:
  /// Deletes the UDP flows to these endpoints whose replies go to an address other than those given for the endpoint,
  /// so that the next packet starts a new flow. Returns how many. It dumps all flows, so the cost grows with their
  /// number.
  Result<std::size_t> forget(const std::map<Endpoint, std::set<Address>>& rightSources);

  /// Deletes all flows with this mark, of one family or of both, by one request. The kernel walks through the flows of
  /// all network namespaces meanwhile: 0.5 to 18 ms were seen (6.18). Kernels before 6.4 may keep flows that are in a
  /// flowtable, without an error. Refused for a mask or value of 0, which flows without a mark would match.
  Status forgetMarked(MarkMatch mark, std::optional<Family> family = {});
  /// Deletes those of them, of one family, that have never been answered, and returns how many. Refused as above.
  Result<std::size_t> forgetUnanswered(MarkMatch mark, Family family);
  /// Deletes those of them that the watch finds idle. Each call is a look of the watch, which must be for this mark and
  /// family alone; none is idle at the first. Refused as above.
  Result<Drained> forgetIdle(MarkMatch mark, Family family, IdleWatch& watch, Instant now);
  /// Deletes the flows whose mark, under this mask, is a key of the map, and that are translated to one of the sources
  /// given for it. Returns how many. It dumps all flows.
  Result<std::size_t> forgetTranslatedTo(std::uint32_t mask, const std::map<Mark, std::set<Address>>& wrongSources);
  /// Clears these bits in the marks of all flows with this mark, and returns how many. Each is a request of its own.
  /// Refused as above.
  Result<std::size_t> unmark(MarkMatch mark, std::uint32_t bits);
  /// The number of flows by the bits of their mark under the mask, without those that have none of these bits. It dumps
  /// all flows.
  Result<std::map<std::uint32_t, std::size_t>> countMarked(std::uint32_t mask);

 private:
  Status open();
  struct Selection {
    std::uint32_t mask = 0;         ///< flows that have one of these bits
    std::optional<MarkMatch> mark;  ///< and this mark
    std::optional<Family> family;   ///< and are of this one
    bool onlySilent = false;        ///< and were never answered
  };
  Status dumpMarked(const Selection& selection, const std::function<void(MarkedFlow)>& onFlow);
  /// Those that are gone by then are not counted.
  Result<std::size_t> forEach(const std::vector<Flow>& flows, const std::function<Status(const Flow&)>& request);
  Result<std::size_t> deleteAll(const std::vector<Flow>& flows);

  std::optional<RequestSocket> socket_;
};

}  // namespace wgsteer::netlink
