// SPDX-License-Identifier: GPL-2.0-or-later
// What becomes of the picture when changes have been made, and when our table says what earlier runs have made.
#include <algorithm>
#include <utility>

#include "wgsteer/core/track.hpp"

namespace wgsteer {

namespace {

const IfName& presentName(const World& world, const IfName& recorded) {
  const auto renamed = world.renamed.find(recorded);
  return renamed == world.renamed.end() ? recorded : renamed->second;
}

}  // namespace

std::set<Sysctl> underPresentNames(const World& world, const std::set<Sysctl>& sysctls) {
  std::set<Sysctl> present;
  for (const Sysctl& sysctl : sysctls) present.insert({sysctl.kind, presentName(world, sysctl.device)});
  return present;
}

/// Our sysctls that are on now: those recorded in the table, as far as the links show them on.
std::set<Sysctl> sysctlsThatAreOn(const Picture& picture) {
  std::set<Sysctl> on;
  if (!picture.observed.nft) return on;
  for (const Sysctl& sysctl : underPresentNames(picture.world, picture.observed.nft->table.changedSysctls)) {
    const Link* link = picture.world.linkNamed(sysctl.device);
    if (link != nullptr && link->sysctls.contains(sysctl.kind)) on.insert(sysctl);
  }
  return on;
}

void adopt(World& world, const NftState& nft) {
  const NftTable& table = nft.table;
  world.adopted = {.wanSlots = {},
                   .sysctls = underPresentNames(world, table.changedSysctls),
                   .trafficSlots = nft.layout.traffic.slots,
                   .deprecated = table.deprecated,
                   .tunnelChains = nft.layout.tunnels};
  for (const auto& [device, slot] : table.wans) world.adopted.wanSlots.emplace(presentName(world, device), slot);
}

namespace {

void settleMark(Picture& picture, const SetTunnelMark& set) {
  World& world = picture.world;
  if (world.tunnels.contains(set.tunnel)) world.tunnels.edit().at(set.tunnel).fwmark = set.mark;
  // A mark that was given back must not be taken away again.
  const auto owners = world.ownersMarks.find(set.tunnel);
  if (owners != world.ownersMarks.end() && owners->second == set.mark)
    picture.observed.tunnelMarks.erase(set.tunnel);
  else if (set.mark.value != 0)
    world.ownMarks.insert(set.mark);
}

/// Not every written switch is announced (src_valid_mark is not); and one that we turned off but still believed to be
/// on would be taken for the administrator's.
void settleSysctl(World& world, const SetSysctl& set) {
  for (auto& [index, link] : world.links) {
    if (link.name != set.sysctl.device) continue;
    if (set.on)
      link.sysctls.insert(set.sysctl.kind);
    else
      link.sysctls.erase(set.sysctl.kind);
  }
}

/// Our writes are announced as well; until then, nobody knows when they were.
void settleDeprecated(World& world, const SetDeprecated& set) {
  const auto known = std::ranges::find_if(world.addressesOf(set.own.device),
                                          [&](const InterfaceAddress& own) { return ownAddress(own) == set.own; });
  if (known == world.addresses.end() || ownAddress(*known) != set.own) return;
  InterfaceAddress own = *known;
  own.deprecated = set.on;
  own.lifetimes = {.preferred = set.preferred, .written = 0};
  world.addresses.erase(known);
  world.addresses.insert(own);
}

bool hasName(const NftTable& table, const IfName& device) {
  return table.wans.contains(device) ||
         std::ranges::find(table.changedSysctls, device, &Sysctl::device) != table.changedSysctls.end();
}

/// Applies the consequences of changes to the world, once they are in the observed state.
void settleWorld(Picture& picture, const std::vector<Change>& made) {
  for (const Change& change : made) {
    if (const auto* set = std::get_if<SetTunnelMark>(&change)) settleMark(picture, *set);
    if (const auto* set = std::get_if<SetSysctl>(&change)) settleSysctl(picture.world, *set);
    if (const auto* set = std::get_if<SetDeprecated>(&change)) settleDeprecated(picture.world, *set);
  }
  // Without our table (somebody flushed the ruleset), our records are kept until it is back.
  if (!picture.observed.nft) return;
  const NftTable& table = picture.observed.nft->table;
  std::erase_if(picture.world.renamed, [&](const auto& names) { return !hasName(table, names.first); });
  adopt(picture.world, *picture.observed.nft);
}

}  // namespace

void settle(Picture& picture, const Plan& plan, State reached) {
  picture.observed = std::move(reached);
  // The table has the present names by now, perhaps each other's.
  if (picture.observed.nft) picture.world.renamed.clear();
  settleWorld(picture, plan.changes);
}

void settle(Picture& picture, const std::vector<Change>& made) {
  for (const Change& change : made) apply(picture.observed, change);
  if (std::ranges::any_of(made, [](const Change& change) { return std::holds_alternative<NftTransaction>(change); }))
    picture.world.renamed.clear();
  settleWorld(picture, made);
}

}  // namespace wgsteer
