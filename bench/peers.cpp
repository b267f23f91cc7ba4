// SPDX-License-Identifier: GPL-2.0-or-later
// Ten thousand peers in a hundred tunnels against one peer: a DNS answer, a failover, memory; and figures without a
// control.
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <unistd.h>

#include "benchmarks.hpp"
#include "names.hpp"

namespace wgsteer::bench {

namespace {

class Arm {
 public:
  Arm(const Options& options, const Tunnels& tunnels, int names) : router_(options, tunnels, names) {
    router_.netns().inside([&] {
      requests_ = std::make_unique<RawSocket>();
      observer_ = std::make_unique<RawSocket>(NETLINK_ROUTE, std::initializer_list<int>{RTNLGRP_IPV4_ROUTE});
    });
    const std::string gateway = wanGateway(0);
    const RawRoute first{
        .gateway = gateway.c_str(), .device = deviceIndex(router_.netns(), wanName(0)), .metric = wanMetric(0)};
    deletion_ = routeMessage(RTM_DELROUTE, 0, first);
    addition_ = routeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, first);
    answers_.resize(static_cast<std::size_t>(options.repetitions()));
    for (int i = 0; i < names; ++i)
      answers_[static_cast<std::size_t>(i) % answers_.size()].push_back(router_.answerToElement());
  }

  /// From a DNS answer to its element, us.
  const Series& answers() const { return answers_; }

  NamedRouter& router() { return router_; }
  double resident() const { return static_cast<double>(router_.daemon().resident()); }

  /// From the loss of the first WAN's default route to its removal from the policy's table, us.
  double failover() {
    router_.daemon().awaitIdle();
    const double time = changed(deletion_, RTM_DELROUTE);
    router_.daemon().awaitIdle();
    changed(addition_, RTM_NEWROUTE);
    return time;
  }

  /// CPU time of one poll, ms.
  double poll() const {
    router_.daemon().awaitIdle();
    const std::int64_t before = router_.daemon().cpuTime();
    while (router_.daemon().cpuTime() == before) ::usleep(1000);
    router_.daemon().awaitIdle();
    return static_cast<double>(router_.daemon().cpuTime() - before) / 1e6;
  }

 private:
  double changed(const Prebuilt& cause, std::uint16_t type) {
    observer_->drain();
    const std::int64_t begin = now();
    requests_->send(cause);
    const bool seen = awaitMessage(*observer_, [type](const nlmsghdr* message) {
      return message->nlmsg_type == type && attributeOf(message, sizeof(rtmsg), RTA_TABLE) == kPolicyTable;
    });
    const std::int64_t end = now();
    if (!seen) die("the policy's table did not change within ten seconds");
    if (requests_->acknowledged() != 0) die("a route of the main table could not be changed");
    return static_cast<double>(end - begin) / 1000;
  }

  NamedRouter router_;
  std::unique_ptr<RawSocket> requests_, observer_;
  Prebuilt deletion_, addition_;
  Series answers_;
};

/// `wgsteer status`, from fork to its end, ms.
double status(const Options& options, const Netns& netns) {
  const std::int64_t begin = now();
  Process asking(netns, [&] {
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    need(::dup2(null, STDOUT_FILENO) >= 0, "/dev/null");
    exec({options.daemon, "status", "--json"});
  });
  asking.await();
  return static_cast<double>(now() - begin) / 1e6;
}

Row failovers(const std::string& name, std::vector<std::unique_ptr<Arm>>& arms, const Options& options) {
  const auto repetitions = static_cast<std::size_t>(options.repetitions());
  std::vector<Series> all(arms.size(), Series(repetitions));
  for (std::size_t repetition = 0; repetition < repetitions; ++repetition)
    for (int i = 0; i < options.count(50, 5); ++i)
      for (const std::size_t who : shuffled(arms.size())) {
        pause(1'000, 5'000);
        all[who][repetition].push_back(arms[who]->failover());
      }
  return compare(name, "us", all[0], all[1], all[2], 1.5);
}

}  // namespace

std::vector<Row> peers(const Options& options) {
  const int tunnels = options.count(100, 10);
  const int names = options.repetitions() * options.count(20, 5);
  std::vector<std::unique_ptr<Arm>> arms;
  const Tunnels few{.prefix = "few", .count = 1, .peers = names};
  const Tunnels again{.prefix = "again", .count = 1, .peers = names};
  arms.push_back(std::make_unique<Arm>(options, Tunnels{.prefix = "many", .count = tunnels, .peers = 100}, names));
  arms.push_back(std::make_unique<Arm>(options, few, names));
  arms.push_back(std::make_unique<Arm>(options, again, names));
  const NamedRouter& many = arms.front()->router();
  Samples asked, polls;
  for (int i = 0; i < options.count(20, 3); ++i) asked.push_back(status(options, many.netns()));
  for (int i = 0; i < 5; ++i) polls.push_back(arms.front()->poll());

  const std::string size = std::to_string(tunnels * 100) + " peers";
  std::vector<Row> rows{
      atMost(size + ": start", "ms", many.startedIn(), 1000), atMost(size + ": status", "ms", median(asked), 1000),
      atMost(size + ": CPU time of a poll", "ms", median(polls), 250),
      compare(size + ": DNS answer to element", "us", arms[0]->answers(), arms[1]->answers(), arms[2]->answers(), 2),
      failovers(size + ": failover", arms, options)};
  rows.push_back(atMost(size + ": memory of an endpoint", "bytes",
                        (arms[0]->resident() - arms[1]->resident()) * 1024 / (tunnels * 100 - names), 1024));
  return rows;
}

}  // namespace wgsteer::bench
