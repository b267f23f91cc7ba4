// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/events.hpp"

#include <arpa/inet.h>
#include <utility>

#include "wgsteer/core/numbers.hpp"

#include "netlink/kernel_headers.hpp"
#include "netlink/route_filter.hpp"

namespace wgsteer::nft {

namespace {

// The table's name is attribute 1 of every message but NEWGEN.
static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1 &&
              NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1 && NFTA_FLOWTABLE_TABLE == 1);
constexpr std::uint16_t kTableAttribute = 1;

}  // namespace

bool concernsOurTable(const nlmsghdr* message) {
  const auto parts = netlink::partsOf<nfgenmsg>(message);
  if (!parts || parts->header.nfgen_family != NFPROTO_INET) return false;
  return netlink::Attributes<kTableAttribute>(parts->attributes).text(kTableAttribute) == kNftTable;
}

std::string committerOf(const nlmsghdr* message) {
  const auto parts = netlink::partsOf<nfgenmsg>(message);
  if (!parts) return {};
  const netlink::Attributes<NFTA_GEN_MAX> attributes(parts->attributes);
  const std::uint32_t pid = ntohl(attributes.u32(NFTA_GEN_PROC_PID));
  return attributes.text(NFTA_GEN_PROC_NAME) + (pid == 0 ? "" : " (pid " + std::to_string(pid) + ")");
}

Result<Events> Events::subscribe(std::uint32_t ownPort) {
  auto socket = netlink::EventSocket::open(NETLINK_NETFILTER, {NFNLGRP_NFTABLES});
  if (!socket) return std::unexpected(socket.error());
  // Otherwise our own commit of 10 000 elements would wake us up to read 10 000 notifications.
  auto filtered = socket->attach(netlink::ownPortFilter(ownPort));
  if (!filtered) return std::unexpected(filtered.error());
  return Events(std::move(*socket));
}

void Events::take(const nlmsghdr* message) {
  if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_NFTABLES) return;
  if (NFNL_MSG_TYPE(message->nlmsg_type) == NFT_MSG_NEWGEN) {
    // It ends the notifications of a commit and says who made it.
    if (std::exchange(actorPending_, false)) actor_ = committerOf(message);
  } else if (concernsOurTable(message)) {
    touched_ = true;
    actorPending_ = true;
    actor_.clear();
  }
}

bool Events::drain() {
  touched_ = lost_ = false;
  socket_.drain([this](const nlmsghdr* message) { take(message); }, [this] { lost_ = true; });
  return touched_ || lost_;
}

}  // namespace wgsteer::nft
