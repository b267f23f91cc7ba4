// SPDX-License-Identifier: GPL-2.0-or-later
// The model of what the kernel does with a change. FakeKernel is built on it, and the engine keeps its picture with it.
#include <algorithm>

#include "wgsteer/core/overload.hpp"
#include "wgsteer/core/plan.hpp"

namespace wgsteer {

namespace {

template <class Set, class Element>
void put(Set& set, const Element& element, bool add) {
  if (add)
    set.insert(element);
  else
    set.erase(element);
}

template <class Map, class Key, class Value>
void putMapped(Map& map, const Key& key, const Value& value, bool add) {
  if (add)
    map.insert_or_assign(key, value);
  else
    map.erase(key);
}

void applyOp(NftTable& table, const NftOp& op) {
  const bool add = op.add;
  std::visit(Overload{
                 [&](const NftWan& wan) { putMapped(table.wans, wan.device, wan.slot, add); },
                 [&](const NftAddress& own) { put(table.addresses, std::pair{own.device, own.address}, add); },
                 [&](const NftSource& source) {
                   putMapped(table.sources, std::pair{source.device, source.address.family()}, source.address, add);
                 },
                 [&](const NftPolicySource& source) {
                   putMapped(table.policySources, std::pair{source.mark, source.address.family()}, source.address, add);
                 },
                 [&](const NftPolicy& policy) { put(table.policies, policy.slot, add); },
                 [&](const NftEndpoint& peer) { putMapped(table.endpoints.edit(), peer.endpoint, peer.policy, add); },
                 [&](const NftFlow& flow) { putMapped(table.flows.edit(), flow.flow, flow.policy, add); },
                 [&](const NftListenPort& listen) { put(table.listenPorts, listen.port, add); },
                 [&](const NftTunnel& tunnel) { put(table.tunnels, tunnel.device, add); },
                 [&](const NftForeignMark& foreign) { put(table.foreignMarks, foreign.mark, add); },
                 [&](const NftOwnMark& own) { putMapped(table.ownMarks, own.mark, own.keptOut, add); },
                 [&](const NftSysctl& changed) { put(table.changedSysctls, changed.sysctl, add); },
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
          [&](const NftTransaction& transaction) { applyTransaction(state.nft, transaction); },
      },
      change);
}

void apply(State& state, const Plan& plan) {
  for (const Change& change : plan.changes) apply(state, change);
}

}  // namespace wgsteer
