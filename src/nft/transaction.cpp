// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/transaction.hpp"

#include <set>
#include <string>
#include <vector>

#include "core/nft_members.hpp"
#include "nft/table_comment.hpp"
#include "nft/traffic_chains.hpp"

namespace wgsteer::nft {

namespace {

/// Slots of one kind of chain that the transaction adds and deletes. A slot with both (say, a WAN replaced by another)
/// keeps its chain and counters: only elements change.
struct SlotChanges {
  std::set<Slot> added;
  std::set<Slot> deleted;

  void note(bool add, Slot slot) { (add ? added : deleted).insert(slot); }
  bool isNew(Slot slot) const { return added.contains(slot) && !deleted.contains(slot); }
  bool isGone(Slot slot) const { return deleted.contains(slot) && !added.contains(slot); }
};

struct ChainChanges {
  SlotChanges wans;
  SlotChanges policies;
};

ChainChanges chainChanges(const std::vector<NftOp>& ops) {
  ChainChanges changes;
  for (const NftOp& op : ops) {
    if (const auto* wan = std::get_if<NftWan>(&op.member)) changes.wans.note(op.add, wan->slot);
    if (const auto* policy = std::get_if<NftPolicy>(&op.member)) changes.policies.note(op.add, policy->slot);
  }
  return changes;
}

void createTable(Batch& batch, const Numbers& numbers, const NftLayout& layout) {
  const TrafficProgram* traffic = layout.traffic ? layout.traffic.program.get() : nullptr;
  const auto chains = traffic == nullptr ? std::vector<Chain>{} : trafficChains(numbers, *traffic);
  batch.createTable(commentFor(layout, chains));
  for (const NftSet& set : kNftSets)
    if (!set.traffic || traffic != nullptr) batch.createSet(set.id);
  for (const Chain& chain : baseChains(numbers, layout)) batch.createChain(chain);
  if (traffic == nullptr) return;
  for (const TrafficSet& set : traffic->sets) batch.createSet(set);
  for (const std::string& counter : trafficCounters(*traffic)) batch.createCounter(counter);
  for (const Chain& chain : chains) batch.createChain(chain);
  for (const TrafficSet& set : traffic->sets) batch.addElements(set);
}

void createSlots(Batch& batch, const ChainChanges& changes, const Numbers& numbers) {
  for (const Slot slot : changes.policies.added)
    if (changes.policies.isNew(slot)) batch.createChain(policyChain(numbers, slot));
  for (const Slot slot : changes.wans.added) {
    if (!changes.wans.isNew(slot)) continue;
    batch.createCounter(initiationsCounter(slot));
    batch.createCounter(responsesCounter(slot));
    batch.createChain(wanChain(numbers, slot));
  }
}

void deleteSlots(Batch& batch, const ChainChanges& changes) {
  for (const Slot slot : changes.policies.deleted)
    if (changes.policies.isGone(slot)) batch.deleteChain(policyChainName(slot));
  for (const Slot slot : changes.wans.deleted) {
    if (!changes.wans.isGone(slot)) continue;
    // The chain first: its rule holds the counter of responses.
    batch.deleteChain(wanChainName(slot));
    batch.deleteCounter(initiationsCounter(slot));
    batch.deleteCounter(responsesCounter(slot));
  }
}

Status refusedName(const NftElement& element) {
  return fail(ErrorKind::refused, std::string{"nft add element inet "} + std::string{kNftTable} + " " +
                                      nftSet(element.set).name + ": \"" + element.key.device +
                                      "\" is not an interface name");
}

}  // namespace

Status fill(Batch& batch, const NftTransaction& transaction, const Numbers& numbers) {
  if (transaction.createTable) createTable(batch, numbers, transaction.layout);
  // Chains are added before any element that leads to them, and deleted after the last: elements keep the order of the
  // ops.
  const ChainChanges changes = chainChanges(transaction.ops);
  createSlots(batch, changes, numbers);
  NftElements elements;
  for (const NftOp& op : transaction.ops) {
    elements.clear();
    appendElements(op.member, elements);
    for (const NftElement& element : elements) {
      if (!hasValidKey(element)) return refusedName(element);
      batch.changeElement(op.add, element);
    }
  }
  deleteSlots(batch, changes);
  return {};
}

}  // namespace wgsteer::nft
