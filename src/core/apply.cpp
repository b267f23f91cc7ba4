// SPDX-License-Identifier: GPL-2.0-or-later
// The model of what the kernel does with a change. FakeKernel is built on it, and the engine updates its picture with
// it.
#include <algorithm>
#include <map>
#include <set>
#include <type_traits>
#include <utility>

#include "wgsteer/core/overload.hpp"
#include "wgsteer/core/plan.hpp"

#include "core/nft_members.hpp"

namespace wgsteer {

namespace {

template <class Element>
void put(std::set<Element>& set, const Element& element, bool add) {
  if (add)
    set.insert(element);
  else
    set.erase(element);
}

template <class Key, class Value>
void putMapped(std::map<Key, Value>& map, const Key& key, const Value& value, bool add) {
  if (add)
    map.insert_or_assign(key, value);
  else
    map.erase(key);
}

template <class Key, class Value>
void putEntry(std::map<Key, Value>& map, const std::pair<Key, Value>& entry, bool add) {
  putMapped(map, entry.first, entry.second, add);
}
template <class Key, class Value>
void putEntry(SharedMap<Key, Value>& map, const std::pair<Key, Value>& entry, bool add) {
  putEntry(map.edit(), entry, add);
}
template <class Element>
void putEntry(std::set<Element>& set, const Element& element, bool add) {
  put(set, element, add);
}

void applyOp(NftTable& table, const NftOp& op) {
  std::visit(
      [&](const auto& member) {
        using Traits = NftMemberTraits<std::remove_cvref_t<decltype(member)>>;
        putEntry(Traits::field(table), Traits::entry(member), op.add);
      },
      op.member);
}

void applyTransaction(std::optional<NftState>& nft, const NftTransaction& transaction) {
  if (transaction.deleteTable) nft.reset();
  if (transaction.createTable) nft = NftState{.layout = transaction.layout, .table = {}};
  if (!nft) return;
  for (const NftOp& op : transaction.ops) applyOp(nft->table, op);
}

}  // namespace

void apply(State& state, const Change& change) {
  std::visit(
      Overload{
          [&](const AddRoute& added) {
            if (added.replace)
              std::erase_if(state.routes, [&](const Route& route) { return route.key() == added.route.key(); });
            state.routes.insert(added.route);
          },
          [&](const DeleteRoute& deleted) { state.routes.erase(deleted.route); },
          [&](const AddRule& added) { state.rules.insert(added.rule); },
          [&](const DeleteRule& deleted) { state.rules.erase(deleted.rule); },
          [&](const SetTunnelMark& set) { putMapped(state.tunnelMarks, set.tunnel, set.mark, set.mark.value != 0); },
          [&](const SetSysctl& set) { put(state.sysctls, set.sysctl, set.on); },
          [&](const SetDeprecated& set) { putMapped(state.deprecated, set.own, set.preferred, set.on); },
          [&](const NftTransaction& transaction) { applyTransaction(state.nft, transaction); },
      },
      change);
}

std::optional<RecordedChange> recordedChange(const Change& change) {
  if (const auto* set = std::get_if<SetSysctl>(&change)) return RecordedChange{set->sysctl, set->on};
  if (const auto* set = std::get_if<SetDeprecated>(&change)) return RecordedChange{set->own.address, set->on};
  return std::nullopt;
}

std::optional<Recorded> recordedBy(const NftMember& member) {
  if (const auto* record = std::get_if<NftSysctl>(&member)) return record->sysctl;
  if (const auto* record = std::get_if<NftDeprecated>(&member)) return record->address;
  return std::nullopt;
}

void apply(State& state, const Plan& plan) {
  for (const Change& change : plan.changes) apply(state, change);
}

}  // namespace wgsteer
