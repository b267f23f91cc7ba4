// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/refusals.hpp"

#include <algorithm>

namespace wgsteer {

namespace {

const NftTransaction* asTransaction(const Change& change) { return std::get_if<NftTransaction>(&change); }

bool makesTable(const NftTransaction& transaction) { return transaction.createTable || transaction.deleteTable; }

/// Whether both want the same. For a table that cannot be created, its contents do not matter.
bool same(const Change& left, const Change& right) {
  const NftTransaction* one = asTransaction(left);
  const NftTransaction* other = asTransaction(right);
  if (one != nullptr && other != nullptr && one->createTable && other->createTable) return true;
  // Until when an address was preferred may have changed since.
  const auto* address = std::get_if<SetDeprecated>(&left);
  const auto* again = std::get_if<SetDeprecated>(&right);
  if (address != nullptr && again != nullptr) return address->own == again->own && address->on == again->on;
  return left == right;
}

/// Removes what was refused from the plan's changes: whole changes, or members of a transaction.
void holdBack(Plan& plan, const Change& refused) {
  const NftTransaction* members = asTransaction(refused);
  const bool inParts = members != nullptr && !makesTable(*members);
  const auto recorded = recordedChange(refused);
  const auto isMember = [&](const NftOp& op) {
    // A record is written before that which it is the record of.
    if (recorded) return recorded->on && op.add && recordedBy(op.member) == recorded->what;
    return inParts && std::ranges::find(members->ops, op) != members->ops.end();
  };
  std::erase_if(plan.changes, [&](Change& change) {
    auto* whole = std::get_if<NftTransaction>(&change);
    const bool all = same(change, refused);
    const bool some = !all && whole != nullptr && std::erase_if(whole->ops, isMember) > 0;
    if (all || some) plan.heldBack.push_back(refused);
    return all || (some && whole->ops.empty() && !makesTable(*whole));
  });
}

}  // namespace

const Refusals::Refusal* Refusals::find(const Change& change) const {
  const auto found = std::ranges::find_if(refused_, [&](const Refusal& known) { return same(known.change, change); });
  return found == refused_.end() ? nullptr : &*found;
}

Plan Refusals::withhold(Plan plan, Instant now) const {
  for (const Refusal& refusal : refused_)
    if (refusal.due > now) holdBack(plan, refusal.change);
  return plan;
}

void Refusals::learn(const Plan& plan, const CommitReport& report, Instant now) {
  std::vector<Refusal> current;
  for (const ChangeResult& result : report.failed) {
    const Refusal* known = find(result.change);
    const Duration delay = known == nullptr ? kFirstDelay : std::min(2 * known->delay, kLongestDelay);
    const Error& error = result.status.error();
    current.push_back(
        {result.change, error.kind, error.kernelSays.empty() ? error.what : error.kernelSays, delay, now + delay});
  }
  for (Refusal& known : refused_) {
    if (std::ranges::find(plan.heldBack, known.change) != plan.heldBack.end()) current.push_back(std::move(known));
  }
  refused_ = std::move(current);
}

std::optional<Instant> Refusals::nextDue() const {
  const auto next = std::ranges::min_element(refused_, {}, &Refusal::due);
  return next == refused_.end() ? std::nullopt : std::optional{next->due};
}

std::map<std::pair<Slot, Family>, std::string> Refusals::wans() const {
  std::map<std::pair<Slot, Family>, std::string> found;
  for (const Refusal& refusal : refused_) {
    const auto* added = std::get_if<AddRoute>(&refusal.change);
    if (added == nullptr || !added->route.destination.isDefault() || added->route.type != RouteType::unicast) continue;
    const std::uint32_t number = added->route.table.value - kWanTableBase;
    if (number == 0 || number > 0xff) continue;
    found.emplace(std::pair{Slot{static_cast<std::uint8_t>(number)}, added->route.family()}, refusal.why);
  }
  return found;
}

}  // namespace wgsteer
