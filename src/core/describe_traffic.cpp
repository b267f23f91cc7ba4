// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/describe_traffic.hpp"

#include <algorithm>
#include <optional>

#include "wgsteer/core/numbers.hpp"

#include "core/nft_sets.hpp"

namespace wgsteer {

namespace {

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

/// "of rule tv", "of rule tv and 3 more": whose connections the policy's mark is on.
std::string rulesWith(const TrafficProgram& program, Slot chosen) {
  std::string first;
  std::size_t count = 0;
  for (const TrafficVerdict& verdict : program.verdicts) {
    if (verdict.mark != chosen) continue;
    if (count++ == 0) first = verdict.chain.substr(kRulePrefix.size());
  }
  if (count == 0) return {};
  return " of rule " + first + (count == 1 ? "" : " and " + std::to_string(count - 1) + " more");
}

/// The connections that have this mark.
std::string connectionsWith(const NftPinned& pinned, const NftLayout& layout) {
  const std::string family = nameOf(pinned.family);
  const auto slot = Numbers{.markMask = layout.markMask}.slotIn(pinned.pin.value);
  if (slot == pinned.way.mark && pinned.way.exit)
    return family + " connections that arrived on exit " + std::to_string(pinned.way.mark.value);
  if (layout.traffic.program)
    for (const TrafficLeaving& leaving : layout.traffic.program->leavings)
      for (const TrafficPin& pin : leaving.pins)
        if (slot == pin.pin)
          return family + " connections" + rulesWith(*layout.traffic.program, leaving.chosen) + " by " + pin.device;
  return family + " connections with this mark";
}

bool isAddedAgain(const NftPinned& pinned, const NftTransaction& transaction) {
  return std::ranges::any_of(transaction.ops, [&](const NftOp& op) {
    const auto* other = std::get_if<NftPinned>(&op.member);
    return op.add && other != nullptr && other->family == pinned.family && other->pin == pinned.pin;
  });
}

std::string meaning(bool add, const NftPinned& pinned, const NftTransaction& transaction) {
  if (!add && isAddedAgain(pinned, transaction)) return {};
  const char* what = !add              ? " ask the rules again"
                     : pinned.way.exit ? " stay there"
                                       : " follow their policy, which leads there";
  return connectionsWith(pinned, transaction.layout) + what;
}

std::string meaning(bool add, const NftArrival& arrival) {
  return nameOf(arrival.family) + std::string{" connections that arrive on "} + arrival.device +
         (add ? " are answered over it" : " are no longer answered over it");
}

}  // namespace

std::string trafficComment(const NftLayout& layout) {
  if (!layout.traffic.program) return {};
  const TrafficProgram& program = *layout.traffic.program;
  return "rules for any traffic: " + counted(program.verdicts.size(), "rule") + ", " +
         counted(program.sets.size(), "set");
}

std::string trafficComment(const NftOp& op, const NftTransaction& of) {
  if (const auto* pinned = std::get_if<NftPinned>(&op.member)) return meaning(op.add, *pinned, of);
  if (const auto* arrival = std::get_if<NftArrival>(&op.member)) return meaning(op.add, *arrival);
  if (std::holds_alternative<NftNamedMark>(op.member))
    return op.add ? "a mark of another program: such packets bypass the rules"
                  : "no other program uses this mark any more";
  if (const auto* reset = std::get_if<NftReset>(&op.member))
    return nameOf(reset->family) + std::string{op.add
                                                   ? " TCP connections of a WAN that has failed are reset"
                                                   : " TCP connections that conntrack does not know follow the rules"};
  if (const auto* own = std::get_if<NftPrefix>(&op.member))
    return "sources of that prefix are " + std::string{op.add ? "right" : "no longer right"} + " on " + own->device;
  return {};
}

}  // namespace wgsteer
