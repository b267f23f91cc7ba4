// SPDX-License-Identifier: GPL-2.0-or-later
// From the datagram with a host name's address to the element that steers to it, against adding an element by hand.
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <memory>

#include "benchmarks.hpp"
#include "names.hpp"
#include "raw_nft.hpp"

namespace wgsteer::bench {

namespace {

/// The daemon's table, without a daemon.
class ByHand {
 public:
  explicit ByHand(const Options& options) {
    addWans(netns_, 2);
    startDaemon(netns_, options, 2, true);
    netns_.inside([&] {
      requests_ = std::make_unique<RawSocket>(NETLINK_NETFILTER);
      observer_ = std::make_unique<RawSocket>(NETLINK_NETFILTER, std::initializer_list<int>{NFNLGRP_NFTABLES});
    });
  }

  /// From sending to the announcement, us.
  double addElement() {
    const Prebuilt addition = endpointBatch(true, number_++, 1);
    pause(2'000, 4'000);
    observer_->drain();
    const std::int64_t begin = now();
    requests_->send(addition);
    if (!awaitMessage(*observer_, isElementAdded)) die("no element within ten seconds");
    const std::int64_t end = now();
    if (requests_->acknowledged() != 0) die("the element could not be added");
    return static_cast<double>(end - begin) / 1000;
  }

 private:
  Netns netns_;
  std::unique_ptr<RawSocket> requests_, observer_;
  int number_ = 0;
};

}  // namespace

std::vector<Row> dns(const Options& options) {
  const int names = options.count(300, 20);
  const auto repetitions = static_cast<std::size_t>(options.repetitions());
  Series value(repetitions), control[2] = {Series(repetitions), Series(repetitions)};
  ByHand hands[2] = {ByHand(options), ByHand(options)};
  for (std::size_t repetition = 0; repetition < repetitions; ++repetition) {
    NamedRouter router(options, {.prefix = "named", .count = 1, .peers = names}, names);
    for (int i = 0; i < names; ++i)
      for (const std::size_t who : shuffled(3)) {
        if (who == 2)
          value[repetition].push_back(router.answerToElement());
        else
          control[who][repetition].push_back(hands[who].addElement());
      }
  }
  return {compare("DNS answer to element, against a raw nft add", "us", value, control[0], control[1], 5)};
}

}  // namespace wgsteer::bench
