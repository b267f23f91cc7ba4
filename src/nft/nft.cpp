// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/nft.hpp"

#include <utility>

#include "nft/counters.hpp"
#include "nft/transaction.hpp"

namespace wgsteer::nft {

Result<std::unique_ptr<Nft>> Nft::open() {
  auto channel = Channel::open();
  if (!channel) return std::unexpected(channel.error());
  return std::unique_ptr<Nft>(new Nft(std::move(*channel)));
}

Result<TableLook> Nft::look(const Numbers& numbers) { return observeTable(channel_, numbers); }

Result<std::optional<NftState>> Nft::observe(const Numbers& numbers) {
  auto found = look(numbers);
  if (!found) return std::unexpected(found.error());
  return std::move(found->ours);
}

Status Nft::commit(const NftTransaction& transaction, const Numbers& numbers) {
  const Status status = commitOnce(transaction, numbers);
  // The table to delete vanished after it was looked up: the second lookup finds none.
  if (!status && transaction.deleteTable && status.error().kind == ErrorKind::notThere)
    return commitOnce(transaction, numbers);
  return status;
}

Status Nft::commitOnce(const NftTransaction& transaction, const Numbers& numbers) {
  Batch batch = channel_.newBatch();
  if (transaction.deleteTable) {
    const auto table = findTable(channel_);
    if (!table) return std::unexpected(table.error());
    if (*table && !(*table)->ours)
      return fail(ErrorKind::refused,
                  "nft delete table inet wgsteer: another program created it (its comment is not ours)");
    if (*table) batch.deleteTable((*table)->handle);
  }
  Numbers withMask = numbers;
  withMask.markMask = transaction.layout.markMask;
  if ((transaction.createTable || !transaction.ops.empty()) && !validMarkMask(withMask.markMask))
    return fail(ErrorKind::refused,
                "nft add table inet wgsteer: " + hex(withMask.markMask) + " is not a valid mark mask");
  if (Status status = fill(batch, transaction, withMask); !status) return status;
  if (batch.empty()) return {};
  return channel_.commit(batch);
}

Result<Counters> Nft::counters() { return readCounters(channel_); }

Status Nft::subscribe() {
  auto events = Events::subscribe(channel_.portId());
  if (!events) return std::unexpected(events.error());
  events_ = std::move(*events);
  return {};
}

int Nft::eventDescriptor() const { return events_ ? events_->descriptor() : -1; }

bool Nft::drain() { return events_ && events_->drain(); }

bool Nft::lostEvents() const { return events_ && events_->lost(); }

std::string Nft::lastActor() const { return events_ ? events_->lastActor() : std::string(); }

}  // namespace wgsteer::nft
