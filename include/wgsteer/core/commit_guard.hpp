// SPDX-License-Identifier: GPL-2.0-or-later
// What may still be done after a change has failed. A failure holds up only the changes that rely on it: a mark relies
// on its rule and on the route that closes its table, the record of a sysctl on the sysctl itself. Everything else goes
// ahead.
//
// Both the real kernel and the fake one of the tests carry out plans with this.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer {

struct ChangeResult {
  Change change;
  Status status;
};

struct CommitReport {
  std::vector<ChangeResult> failed;  ///< what the kernel refused; a transaction is narrowed down to what it refused
  /// Whether the whole plan was carried out and nothing was held back. If not, `made` lists the changes that were made.
  bool complete = true;
  std::vector<Change> made;
  std::size_t done = 0;  ///< number of changes made
  bool ok() const { return complete; }
};

class CommitGuard {
 public:
  /// `numbers` say which mark belongs to which table.
  explicit CommitGuard(const Numbers& numbers) : numbers_(numbers) {}

  /// Records a change that was not made, because it failed or because it relied on one that did.
  void missed(const Change& change);
  bool allows(const Change& change) const;
  /// The part of a transaction that relies on nothing that was missed; the rest goes to `withheld`.
  NftTransaction allowedPart(const NftTransaction& transaction, std::vector<NftOp>& withheld) const;

 private:
  using OfFamily = std::pair<Family, Slot>;
  bool allowsMark(Slot slot, std::optional<Family> family) const;
  bool allowsOp(const NftOp& op) const;
  void missedTransaction(const NftTransaction& transaction);

  Numbers numbers_;
  std::set<std::pair<Family, TableId>> openTables_;  ///< without the route that closes them
  std::set<OfFamily> withoutRule_;                   ///< marks for which there is no rule
  std::set<std::pair<Family, MarkMatch>> ruleless_;  ///< the same, as value and mask
  std::set<std::pair<Family, TableId>> stillLedTo_;  ///< tables whose rule could not be deleted
  std::set<Mark> notGivenBack_;                      ///< marks that a tunnel still carries
  std::set<Recorded> stillOn_;
  std::set<Recorded> unrecorded_;
  bool noTable_ = false;     ///< the nft table could not be created
  bool staleTable_ = false;  ///< some of its old contents could not be removed
};

/// Carries out the changes of a plan in order, each with `make`, as far as the guard allows. A transaction that the
/// kernel refuses is split into smaller ones, so that one bad element does not hold up the others.
CommitReport carryOut(const Plan& plan, const Numbers& numbers, const std::function<Status(const Change&)>& make);

}  // namespace wgsteer
