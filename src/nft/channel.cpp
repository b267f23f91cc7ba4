// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/channel.hpp"

#include <cerrno>
#include <string>
#include <utility>

#include "netlink/kernel_headers.hpp"

namespace wgsteer::nft {

namespace {

void putHeader(netlink::Message& message) {
  auto& header = message.extra<nfgenmsg>();
  header.nfgen_family = NFPROTO_INET;
  header.version = NFNETLINK_V0;
}

constexpr std::uint16_t messageType(std::uint16_t type) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | type);
}

}  // namespace

Result<Channel> Channel::open() {
  auto socket = netlink::RequestSocket::open(NETLINK_NETFILTER);
  if (!socket) return std::unexpected(socket.error());
  return Channel(std::move(*socket));
}

Status Channel::get(std::uint16_t type, const Fill& fill, const Handler& onMessage, const char* what) {
  netlink::Message message(messageType(type), 0);
  putHeader(message);
  fill(message);
  return socket_.ask(message, onMessage, [what] { return std::string(what); });
}

Status Channel::dump(std::uint16_t type, const Fill& fill, const Handler& onMessage, const char* what) {
  netlink::Message message(messageType(type), 0);
  putHeader(message);
  fill(message);
  return socket_.dump(message, onMessage, [what] { return std::string(what); });
}

Status Channel::commit(Batch& batch) {
  const auto bytes = batch.finish();
  // Answers come in the order of the messages: an error for each refused one, and an acknowledgement of the last even
  // if others were refused. If a transaction fails as a whole, the error is that of its first message.
  bool acknowledged = false;
  Status outcome;
  const Status exchanged = socket_.exchange(bytes, batch.lastSequence(), [&](const netlink::Answer& answer) {
    acknowledged = acknowledged || (answer.error == 0 && answer.sequence == batch.acknowledgedSequence());
    if (answer.error == 0 || !outcome) return;
    outcome = netlink::failWith(answer.error, batch.describe(answer.sequence, answer.attribute), answer.text);
    // EBUSY for an element: it exists with another value (6.18 says EEXIST). Retrying would not help.
    if (answer.error == EBUSY && batch.addsElement(answer.sequence)) outcome.error().kind = ErrorKind::alreadyThere;
  });
  if (!outcome) return outcome;
  if (!exchanged)
    return fail(exchanged.error().kind, "nft transaction: " + exchanged.error().what, exchanged.error().code);
  if (!acknowledged) return fail(ErrorKind::overrun, "nft transaction: no answer");
  return {};
}

}  // namespace wgsteer::nft
