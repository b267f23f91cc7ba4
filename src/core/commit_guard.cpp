// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/commit_guard.hpp"

#include <algorithm>
#include <utility>

#include "wgsteer/core/overload.hpp"

namespace wgsteer {

namespace {

/// A refused transaction is halved until each refused member stands alone; if there are more of them than this, the
/// rest waits for the next look.
constexpr std::size_t kFailuresAtMost = 8;

bool closesTable(const Route& route) { return route.type != RouteType::unicast && route.destination.isDefault(); }

/// Of a mark of ours; of others, nullopt.
std::optional<Slot> slotOf(const Numbers& numbers, Mark mark) {
  return numbers.isOurs(mark) ? numbers.slotIn(mark.value) : std::nullopt;
}

/// The mark that a member of the table gives to packets.
std::optional<std::pair<Slot, Family>> markedBy(const NftOp& op) {
  if (!op.add) return std::nullopt;
  if (const auto* peer = std::get_if<NftEndpoint>(&op.member); peer != nullptr && peer->policy)
    return std::pair{*peer->policy, peer->endpoint.address.family()};
  if (const auto* flow = std::get_if<NftFlow>(&op.member); flow != nullptr && flow->policy)
    return std::pair{*flow->policy, flow->flow.endpoint.address.family()};
  return std::nullopt;
}

/// The record that was made before a change; nullopt: none was.
std::optional<NftMember> recordMadeFor(const Change& change) {
  if (const auto* set = std::get_if<SetSysctl>(&change); set != nullptr && set->on) return NftSysctl{set->sysctl};
  if (const auto* set = std::get_if<SetDeprecated>(&change); set != nullptr && set->on)
    return NftDeprecated{set->own.address, {.preferred = set->preferred, .written = 0}};
  return std::nullopt;
}

}  // namespace

void CommitGuard::missedTransaction(const NftTransaction& transaction) {
  noTable_ |= transaction.createTable;
  for (const NftOp& op : transaction.ops) {
    staleTable_ |= !op.add;
    if (const auto recorded = recordedBy(op.member); recorded && op.add) unrecorded_.insert(*recorded);
  }
}

void CommitGuard::missed(const Change& change) {
  std::visit(Overload{
                 [this](const AddRoute& added) {
                   if (closesTable(added.route)) openTables_.emplace(added.route.family(), added.route.table);
                 },
                 [](const DeleteRoute&) {},
                 [this](const AddRule& added) {
                   ruleless_.emplace(added.rule.family, added.rule.mark);
                   const auto slot = slotOf(numbers_, Mark{added.rule.mark.value});
                   // The rules for replies of servers only refine the meaning of the mark.
                   if (slot && !added.rule.source) withoutRule_.emplace(added.rule.family, *slot);
                 },
                 [this](const DeleteRule& kept) { stillLedTo_.emplace(kept.rule.family, kept.rule.table); },
                 [this](const SetTunnelMark& set) {
                   if (set.was) notGivenBack_.insert(*set.was);
                 },
                 [this](const SetSysctl& set) {
                   if (!set.on) stillOn_.insert(set.sysctl);
                 },
                 [this](const SetDeprecated& set) {
                   if (!set.on) stillOn_.insert(set.own.address);
                 },
                 [this](const NftTransaction& transaction) { missedTransaction(transaction); },
             },
             change);
}

bool CommitGuard::allowsMark(Slot slot, std::optional<Family> family) const {
  return std::ranges::none_of(kFamilies, [&](Family one) {
    if (family && *family != one) return false;
    return withoutRule_.contains({one, slot}) || openTables_.contains({one, numbers_.wanTable(slot)}) ||
           openTables_.contains({one, numbers_.policyTable(slot)});
  });
}

bool CommitGuard::allows(const Change& change) const {
  return std::visit(
      Overload{
          [](const AddRoute&) { return true; },
          [this](const AddRule& added) { return !openTables_.contains({added.rule.family, added.rule.table}); },
          [this](const SetTunnelMark& set) {
            const auto slot = slotOf(numbers_, set.mark);
            return !slot || allowsMark(*slot, std::nullopt);
          },
          // Without its record it would be taken for the administrator's setting and stay on forever.
          [this](const SetSysctl& set) { return !set.on || !(noTable_ || unrecorded_.contains(set.sysctl)); },
          [this](const SetDeprecated& set) { return !set.on || !(noTable_ || unrecorded_.contains(set.own.address)); },
          [this](const NftTransaction& transaction) {
            if (transaction.createTable) return true;
            return transaction.deleteTable ? stillOn_.empty() : !noTable_;
          },
          // Packets may still get that mark, or nothing has taken the rule's place.
          [this](const DeleteRule& deleted) {
            return !staleTable_ && !notGivenBack_.contains(Mark{deleted.rule.mark.value}) &&
                   !ruleless_.contains({deleted.rule.family, deleted.rule.mark});
          },
          // Below any other route there is still the closing one; below that, lookups fall through to the main table.
          [this](const DeleteRoute& deleted) {
            return !closesTable(deleted.route) || !stillLedTo_.contains({deleted.route.family(), deleted.route.table});
          },
      },
      change);
}

bool CommitGuard::allowsOp(const NftOp& op) const {
  if (const auto marked = markedBy(op)) return allowsMark(marked->first, marked->second);
  const auto recorded = recordedBy(op.member);
  return !recorded || op.add || !stillOn_.contains(*recorded);
}

NftTransaction CommitGuard::allowedPart(const NftTransaction& transaction, std::vector<NftOp>& withheld) const {
  NftTransaction part = transaction;
  const auto kept =
      std::stable_partition(part.ops.begin(), part.ops.end(), [this](const NftOp& op) { return allowsOp(op); });
  withheld.assign(kept, part.ops.end());
  part.ops.erase(kept, part.ops.end());
  return part;
}

namespace {

class Execution {
 public:
  Execution(const Plan& plan, const Numbers& numbers, const std::function<Status(const Change&)>& make)
      : plan_(plan), guard_(numbers), markMask_(numbers.markMask), make_(make) {}

  CommitReport run() {
    for (const Change& change : plan_.heldBack) miss(change);
    for (; at_ < plan_.changes.size(); ++at_) {
      const Change& change = plan_.changes[at_];
      if (!guard_.allows(change))
        miss(change);
      else if (const auto* transaction = std::get_if<NftTransaction>(&change))
        carryOut(*transaction);
      else if (Status outcome = make_(change); outcome)
        made(change);
      else {
        fail(change, std::move(outcome));
        forget(change);
      }
    }
    return std::move(report_);
  }

 private:
  void made(const Change& change) {
    ++report_.done;
    if (!report_.complete) report_.made.push_back(change);
  }

  /// From the first change that was not made onwards, keeps a list of those that were.
  void miss(const Change& change) {
    if (std::exchange(report_.complete, false)) {
      const auto end = plan_.changes.begin() + static_cast<std::ptrdiff_t>(at_);
      report_.made.assign(plan_.changes.begin(), end);
    }
    guard_.missed(change);
  }

  void fail(const Change& change, Status outcome) {
    miss(change);
    report_.failed.push_back({change, std::move(outcome)});
  }

  /// What was not turned on is not to be turned off some day: the record that was made before is taken out again.
  void forget(const Change& change) {
    const auto before = recordMadeFor(change);
    if (!before) return;
    NftTransaction record;
    record.layout.markMask = markMask_;
    record.ops.push_back({.add = false, .member = *before});
    if (Status outcome = make_(record); outcome)
      made(record);
    else if (outcome.error().kind != ErrorKind::notThere)
      report_.failed.push_back({record, std::move(outcome)});
  }

  void carryOut(const NftTransaction& whole) {
    std::vector<NftOp> withheld;
    NftTransaction part = guard_.allowedPart(whole, withheld);
    if (!withheld.empty()) miss(NftTransaction{.layout = whole.layout, .ops = std::move(withheld)});
    if (part.ops.empty() && !part.createTable && !part.deleteTable) return;
    failuresBefore_ = report_.failed.size();
    inParts(std::move(part));
  }

  void inParts(NftTransaction transaction) {
    Status outcome = make_(transaction);
    if (outcome) return made(transaction);
    const bool makesTable = transaction.createTable || transaction.deleteTable;
    const std::size_t parts = transaction.ops.size();
    const bool enough = report_.failed.size() - failuresBefore_ >= kFailuresAtMost;
    const ErrorKind kind = outcome.error().kind;
    const bool passing = kind == ErrorKind::busy || kind == ErrorKind::overrun;
    if (enough || passing || parts == 0 || (parts == 1 && !makesTable)) return fail(transaction, std::move(outcome));
    NftTransaction rest{.layout = transaction.layout, .ops = {}};
    if (makesTable) {
      rest.ops = std::exchange(transaction.ops, {});
      inParts(std::move(transaction));
      if (guard_.allows(rest))
        inParts(std::move(rest));
      else
        miss(rest);
      return;
    }
    const auto middle = transaction.ops.begin() + static_cast<std::ptrdiff_t>(parts / 2);
    rest.ops.assign(middle, transaction.ops.end());
    transaction.ops.erase(middle, transaction.ops.end());
    inParts(std::move(transaction));
    inParts(std::move(rest));
  }

  const Plan& plan_;
  CommitGuard guard_;
  std::uint32_t markMask_;
  const std::function<Status(const Change&)>& make_;
  CommitReport report_;
  std::size_t at_ = 0;
  std::size_t failuresBefore_ = 0;
};

}  // namespace

CommitReport carryOut(const Plan& plan, const Numbers& numbers, const std::function<Status(const Change&)>& make) {
  return Execution{plan, numbers, make}.run();
}

}  // namespace wgsteer
