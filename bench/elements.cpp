// SPDX-License-Identifier: GPL-2.0-or-later
// Adding endpoints to the set: the daemon's own library, against a batch that was encoded before the clock was started.
#include <linux/netlink.h>
#include <memory>

#include "wgsteer/core/numbers.hpp"

#include "benchmarks.hpp"
#include "nft/nft.hpp"
#include "raw_nft.hpp"

namespace wgsteer::bench {

namespace {

NftTransaction endpoints(bool add, int count) {
  NftTransaction transaction;
  transaction.layout = {.markMask = kDefaultMarkMask, .forward = false, .intact = true};
  for (int i = 0; i < count; ++i) {
    const auto address = Address::parse(endpointAddress(i));
    transaction.ops.push_back({.add = add, .member = NftEndpoint{{*address, kEndpointPort}, Slot{15}}});
  }
  return transaction;
}

void need(const Status& status) {
  if (!status) die(status.error().toString());
}

class OurWriter {
 public:
  explicit OurWriter(int count) : addition_(endpoints(true, count)), deletion_(endpoints(false, count)) {
    netns_.inside([&] {
      auto nft = nft::Nft::open();
      if (!nft) die(nft.error().toString());
      nft_ = std::move(*nft);
    });
    NftTransaction table = endpoints(true, 0);
    table.createTable = true;
    table.ops.push_back({.add = true, .member = NftPolicy{Slot{15}}});
    need(nft_->commit(table, Numbers{}));
  }
  const Netns& netns() const { return netns_; }
  void write(bool add) { need(nft_->commit(add ? addition_ : deletion_, Numbers{})); }

 private:
  Netns netns_;
  std::unique_ptr<nft::Nft> nft_;
  NftTransaction addition_, deletion_;
};

/// In a namespace with the same table.
class RawWriter {
 public:
  explicit RawWriter(int count)
      : table_(0), addition_(endpointBatch(true, 0, count)), deletion_(endpointBatch(false, 0, count)) {
    table_.netns().inside([&] { socket_ = std::make_unique<RawSocket>(NETLINK_NETFILTER); });
  }
  void write(bool add) { socket_->transact(add ? addition_ : deletion_); }

 private:
  OurWriter table_;
  std::unique_ptr<RawSocket> socket_;
  Prebuilt addition_, deletion_;
};

template <class Writer>
void measure(Writer& writer, Samples& samples) {
  const std::int64_t begin = now();
  writer.write(true);
  samples.push_back(static_cast<double>(now() - begin) / 1000);
  writer.write(false);
}

Row rowFor(const std::string& name, double target, int count, int turns, int rest, const Options& options) {
  OurWriter ours(count);
  RawWriter raw[2] = {RawWriter(count), RawWriter(count)};
  const auto repetitions = static_cast<std::size_t>(options.repetitions());
  Series value(repetitions), control[2] = {Series(repetitions), Series(repetitions)};
  for (std::size_t repetition = 0; repetition < repetitions; ++repetition) {
    for (int i = 0; i < turns; ++i) {
      for (const std::size_t who : shuffled(3)) {
        // The kernel's worker frees what was deleted; it must not do so while another arm is being measured.
        if (rest > 0) pause(rest, rest);
        if (who == 2)
          measure(ours, value[repetition]);
        else
          measure(raw[who], control[who][repetition]);
      }
    }
  }
  return compare(name, "us", value, control[0], control[1], target);
}

}  // namespace

std::vector<Row> elements(const Options& options) {
  return {rowFor("one endpoint into the set", 1.2, 1, options.count(3000, 100), 100, options),
          rowFor("10 000 endpoints at once", 1.15, 10'000, options.count(60, 3), 20'000, options)};
}

}  // namespace wgsteer::bench
