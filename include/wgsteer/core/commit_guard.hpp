// SPDX-License-Identifier: GPL-2.0-or-later
// What may still be done after a change has failed. A failure costs what relies on it and nothing else: a mark relies
// on its rule and on the route that closes its table, the memory of a sysctl on the sysctl, everybody else goes on.
//
// Both kernels, the real one and the fake one of the tests, carry plans out with this.
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
  /// Whether all of the plan was made, and nothing was held back from it. If not, `made` is what was made.
  bool complete = true;
  std::vector<Change> made;
  std::size_t done = 0;  ///< how many changes were made
  bool ok() const { return complete; }
};

class CommitGuard {
 public:
  /// `numbers` tell which mark and which table belong together.
  explicit CommitGuard(const Numbers& numbers) : numbers_(numbers) {}

  /// Takes note of a change that was not made, because it failed or because it relied on one that did.
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
  std::set<OfFamily> withoutRule_;                   ///< marks that nothing gives a meaning to
  std::set<std::pair<Family, MarkMatch>> ruleless_;  ///< the same, as rules have them
  std::set<std::pair<Family, TableId>> stillLedTo_;  ///< tables whose rule had to stay
  std::set<Mark> notGivenBack_;                      ///< marks that a tunnel still has
  std::set<Sysctl> stillOn_;
  std::set<Sysctl> unrecorded_;
  bool noTable_ = false;     ///< the nft table could not be made
  bool staleTable_ = false;  ///< some of what it had is still in it
};

/// Makes the changes of a plan in their order, each with `make`, as far as the guard allows. A transaction that the
/// kernel refuses is made in smaller ones, so that one bad element costs no other.
CommitReport carryOut(const Plan& plan, const Numbers& numbers, const std::function<Status(const Change&)>& make);

}  // namespace wgsteer
