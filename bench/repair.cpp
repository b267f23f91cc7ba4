// SPDX-License-Identifier: GPL-2.0-or-later
// How long it takes to restore a deleted rule of ours, against adding one rule by hand.
#include <linux/rtnetlink.h>
#include <memory>

#include "benchmarks.hpp"

namespace wgsteer::bench {

namespace {

double timeToRepair(RawSocket& requests, RawSocket& observer, const Prebuilt& deletion) {
  observer.drain();
  const std::int64_t begin = now();
  requests.send(deletion);
  const bool repaired =
      awaitMessage(observer, [](const nlmsghdr* message) { return message->nlmsg_type == RTM_NEWRULE; });
  const std::int64_t end = now();
  if (!repaired) die("the rule was not repaired within ten seconds");
  if (requests.acknowledged() != 0) die("the rule could not be deleted");
  return static_cast<double>(end - begin) / 1000;
}

double timeToAdd(RawSocket& requests, const Prebuilt& addition, const Prebuilt& deletion) {
  const std::int64_t begin = now();
  requests.transact(addition);
  const std::int64_t end = now();
  requests.transact(deletion);
  return static_cast<double>(end - begin) / 1000;
}

}  // namespace

std::vector<Row> repair(const Options& options) {
  // A daemon makes 64 repairs at once; if the deletions go on, four per second.
  constexpr int kTurnsOfADaemon = 60;
  const Netns steered;
  const Netns bare[2];
  addWans(steered, 2);
  std::unique_ptr<RawSocket> requests, observer, controls[2];
  steered.inside([&] {
    requests = std::make_unique<RawSocket>();
    observer = std::make_unique<RawSocket>(0, std::initializer_list<int>{RTNLGRP_IPV4_RULE});
  });
  for (std::size_t i = 0; i < 2; ++i) bare[i].inside([&] { controls[i] = std::make_unique<RawSocket>(); });
  const Prebuilt addition = ruleMessage(RTM_NEWRULE, kMarkPriority, kPolicyMark, kMarkMask, kPolicyTable, 87);
  const Prebuilt deletion = ruleMessage(RTM_DELRULE, kMarkPriority, kPolicyMark, kMarkMask, kPolicyTable, 87);

  const auto repetitions = static_cast<std::size_t>(options.repetitions());
  Series value(repetitions), control[2] = {Series(repetitions), Series(repetitions)};
  for (std::size_t repetition = 0; repetition < repetitions; ++repetition) {
    for (int daemons = options.count(16, 1); daemons > 0; --daemons) {
      const Process daemon = startDaemon(steered, options, 2);
      for (int turn = 0; turn < kTurnsOfADaemon; ++turn) {
        for (const std::size_t who : shuffled(3)) {
          pause(500, 1500);
          if (who == 2)
            value[repetition].push_back(timeToRepair(*requests, *observer, deletion));
          else
            control[who][repetition].push_back(timeToAdd(*controls[who], addition, deletion));
        }
      }
    }
  }
  return {compare("repair of a deleted rule, against a raw rule add", "us", value, control[0], control[1], 25),
          atMost("repair of a deleted rule", "us", summary(value, 0.5), 1000)};
}

}  // namespace wgsteer::bench
