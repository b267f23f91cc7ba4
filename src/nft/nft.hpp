// SPDX-License-Identifier: GPL-2.0-or-later
// Reads, changes (one transaction each) and watches `table inet wgsteer`. No other table is ever touched.
//
// Threading: one thread. Cost: observe() some twenty requests, each a few microseconds plus the elements; commit() one
// sendmsg(2). Failure: a transaction is applied as a whole or not at all, and the error names the object that was
// refused.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "wgsteer/core/counters.hpp"
#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/result.hpp"

#include "nft/channel.hpp"
#include "nft/events.hpp"
#include "nft/snapshot.hpp"
#include "os/fd.hpp"

namespace wgsteer::nft {

class Nft {
 public:
  static Result<std::unique_ptr<Nft>> open();

  Result<TableLook> look(const Numbers& numbers);
  /// Our table only: nullopt if there is no table, or another program's.
  Result<std::optional<NftState>> observe(const Numbers& numbers);
  Status commit(const NftTransaction& transaction, const Numbers& numbers);
  /// Empty when there is no table.
  Result<Counters> counters();

  Status subscribe();
  /// A descriptor to wait on for reading; -1 before subscribe().
  int eventDescriptor() const;
  /// Reads everything queued: true if another program changed our table, or events were lost.
  bool drain();
  /// Who did it: "nft (pid 123)"; empty when not known.
  std::string lastActor() const;
  /// Whether drain() returned true because events were lost.
  bool lostEvents() const;

 private:
  explicit Nft(Channel channel) : channel_(std::move(channel)) {}
  Status commitOnce(const NftTransaction& transaction, const Numbers& numbers);

  Channel channel_;
  std::optional<Events> events_;
};

}  // namespace wgsteer::nft
