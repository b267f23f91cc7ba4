// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/snapshot.hpp"

#include <functional>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <utility>

#include "nft/generation.hpp"

namespace wgsteer::nft {

namespace {

constexpr const char* kTable = kNftTable.data();

Status readChains(Channel& channel, ObservedTable& observed) {
  // The kernel cannot filter chains by table.
  return channel.dump(
      NFT_MSG_GETCHAIN, [](netlink::Message&) {}, [&](const nlmsghdr* message) { takeChain(message, observed); },
      "nft list chains inet");
}

Status readRules(Channel& channel, ObservedTable& observed) {
  return channel.dump(
      NFT_MSG_GETRULE, [](netlink::Message& message) { message.text(NFTA_RULE_TABLE, kTable); },
      [&](const nlmsghdr* message) { takeRule(message, observed); }, "nft list table inet wgsteer");
}

Status readSets(Channel& channel, ObservedTable& observed) {
  return channel.dump(
      NFT_MSG_GETSET, [](netlink::Message& message) { message.text(NFTA_SET_TABLE, kTable); },
      [&](const nlmsghdr* message) { takeSet(message, observed); }, "nft list sets inet");
}

Status readElements(Channel& channel, const char* name, const std::function<void(const nlmsghdr*)>& take) {
  return channel.dump(
      NFT_MSG_GETSETELEM,
      [&](netlink::Message& message) {
        message.text(NFTA_SET_ELEM_LIST_TABLE, kTable);
        message.text(NFTA_SET_ELEM_LIST_SET, name);
      },
      take, "nft list set inet wgsteer");
}

Status readAllElements(Channel& channel, ObservedTable& observed) {
  for (const NftSetId id : observed.sets) {
    const auto take = [&](const nlmsghdr* message) { takeElements(message, id, observed); };
    if (Status status = readElements(channel, nftSet(id).name, take); !status) return status;
  }
  for (const auto& [name, text] : observed.trafficSets) {
    const auto take = [&](const nlmsghdr* message) { takeElements(message, name, observed); };
    if (Status status = readElements(channel, name.c_str(), take); !status) return status;
  }
  return {};
}

Status readCounters(Channel& channel, ObservedTable& observed) {
  return channel.dump(
      NFT_MSG_GETOBJ, [](netlink::Message& message) { message.text(NFTA_OBJ_TABLE, kTable); },
      [&](const nlmsghdr* message) { takeCounter(message, observed); }, "nft list counters inet");
}

/// nullopt if there is no table.
Result<std::optional<ObservedTable>> readAll(Channel& channel) {
  const auto table = findTable(channel);
  if (!table) return std::unexpected(table.error());
  if (!*table) return std::nullopt;
  ObservedTable observed;
  observed.table = **table;
  if (!observed.table.ours) return observed;
  for (const auto read : {readChains, readRules, readSets, readCounters, readAllElements})
    if (Status status = read(channel, observed); !status) return std::unexpected(status.error());
  return observed;
}

}  // namespace

Result<std::optional<TableIdentity>> findTable(Channel& channel) {
  std::optional<TableIdentity> identity;
  const Status status = channel.get(
      NFT_MSG_GETTABLE, [](netlink::Message& message) { message.text(NFTA_TABLE_NAME, kTable); },
      [&](const nlmsghdr* message) { identity = identityOf(message); }, "nft list table inet wgsteer");
  if (!status && status.error().kind != ErrorKind::notThere) return std::unexpected(status.error());
  return identity;
}

Result<TableLook> observeTable(Channel& channel, const Numbers& numbers) {
  auto snapshot = inOneGeneration(channel, "nft list table inet wgsteer", readAll);
  if (!snapshot) return std::unexpected(snapshot.error());
  if (!*snapshot) return TableLook{};
  if (!(*snapshot)->table.ours) return TableLook{.ours = std::nullopt, .foreign = true};
  return TableLook{.ours = interpret(std::move(**snapshot), numbers)};
}

}  // namespace wgsteer::nft
