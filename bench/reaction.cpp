// SPDX-License-Identifier: GPL-2.0-or-later
// From an event of a WAN to the resulting route in the policy's table, as observed by a third party.
#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <string>

#include "benchmarks.hpp"
#include "reactors.hpp"

namespace wgsteer::bench {

namespace {

enum class Kind { ours, mnl, nl, shellIp, shellNft };

/// An event, and the one that undoes it.
struct Trigger {
  Prebuilt event, undo;
  Match reaction, undone;
};

bool routeChanged(const nlmsghdr* message, std::uint16_t type, std::uint8_t length) {
  if (message->nlmsg_type != type) return false;
  const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  return header->rtm_dst_len == length && attributeOf(message, sizeof(rtmsg), RTA_TABLE) == kPolicyTable;
}

Match routeChange(std::uint16_t type, std::uint8_t length) {
  return [=](const nlmsghdr* message) { return routeChanged(message, type, length); };
}

bool elementAdded(const nlmsghdr* message) {
  return message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM);
}

RawRoute mainDefault(const std::string& gateway, int device) {
  return {.gateway = gateway.c_str(), .device = device, .metric = wanMetric(0)};
}

Trigger routeDeleted(int device) {
  const std::string gateway = wanGateway(0);
  return {routeMessage(RTM_DELROUTE, 0, mainDefault(gateway, device)),
          routeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, mainDefault(gateway, device)),
          routeChange(RTM_DELROUTE, 0), routeChange(RTM_NEWROUTE, 0)};
}

Trigger gatewayChanged(int device) {
  const std::string gateways[] = {wanGateway(0, 1), wanGateway(0, 2)};
  constexpr std::uint16_t kReplace = NLM_F_CREATE | NLM_F_REPLACE;
  return {routeMessage(RTM_NEWROUTE, kReplace, mainDefault(gateways[1], device)),
          routeMessage(RTM_NEWROUTE, kReplace, mainDefault(gateways[0], device)), routeChange(RTM_NEWROUTE, 0),
          routeChange(RTM_NEWROUTE, 0)};
}

Trigger addressDeleted(int device) {
  return {addressMessage(RTM_DELADDR, kSpareAddress, kSpareLength, device),
          addressMessage(RTM_NEWADDR, kSpareAddress, kSpareLength, device), routeChange(RTM_DELROUTE, kSpareLength),
          routeChange(RTM_NEWROUTE, kSpareLength)};
}

Trigger forShellNft(Trigger trigger) {
  trigger.reaction = trigger.undone = elementAdded;
  return trigger;
}

/// One reactor in its namespace.
class Arm {
 public:
  Arm(Kind kind, const Options& options, const Tunnels& tunnels = {.prefix = "react", .count = 1, .peers = 1})
      : kind_(kind), crowded_(tunnels.peers > 1) {
    addWans(netns_, 2);
    netns_.shell("ip address add " + std::string{kSpareAddress} + "/24 dev wan0");
    device_ = deviceIndex(netns_, "wan0");
    if (kind != Kind::ours) {
      addPolicyByHand(netns_, 2);
      netns_.shell("ip route add 10.200.0.0/24 dev wan0 proto 87 metric 1 table " + std::to_string(kPolicyTable));
    }
    start(options, tunnels);
    netns_.inside([&] {
      requests_ = std::make_unique<RawSocket>();
      observer_ = kind == Kind::shellNft
                      ? std::make_unique<RawSocket>(NETLINK_NETFILTER, std::initializer_list<int>{NFNLGRP_NFTABLES})
                      : std::make_unique<RawSocket>(NETLINK_ROUTE, std::initializer_list<int>{RTNLGRP_IPV4_ROUTE});
    });
  }
  int device() const { return device_; }

  /// Microseconds from the event to the reaction; undoes the event and awaits that as well.
  double measure(const Trigger& trigger) {
    const double time = fire(trigger.event, trigger.reaction);
    rest();
    fire(trigger.undo, trigger.undone);
    if (crowded_) rest();  // so that it does not disturb the others
    return time;
  }

  void rest() const {
    // What a reactor does after its reaction must not be part of the next measurement.
    if (crowded_)
      process_.awaitIdle();
    else if (kind_ == Kind::shellIp || kind_ == Kind::shellNft)
      pause(10'000, 15'000);
    else  // real events are no closer together, and the daemon prepares for the next one when it is idle
      pause(10'000, 15'000);
  }

 private:
  void start(const Options& options, const Tunnels& tunnels) {
    if (kind_ == Kind::ours) {
      tunnels_ = startTunnels(netns_, tunnels);
      process_ = startDaemon(netns_, options, 2);
      return;
    }
    if (kind_ == Kind::shellIp || kind_ == Kind::shellNft) {
      if (kind_ == Kind::shellNft) netns_.shell(rulesetForShell());
      const std::string script = kind_ == Kind::shellIp ? shellWithIp() : shellWithNft();
      process_ = Process(netns_, [&] { exec({"sh", "-c", script}); });
      pause(300'000, 300'000);  // `ip monitor` does not say when it is listening
      return;
    }
    const Gate ready;
    process_ =
        Process(netns_, [&] { kind_ == Kind::mnl ? runMnlReactor(device_, ready) : runNlReactor(device_, ready); });
    ready.await();
  }

  double fire(const Prebuilt& event, const Match& reaction) {
    observer_->drain();
    const std::int64_t begin = now();
    requests_->send(event);
    const bool seen = awaitMessage(*observer_, reaction);
    const std::int64_t end = now();
    if (!seen) die("no reaction within ten seconds, reactor " + std::to_string(static_cast<int>(kind_)));
    if (const int error = requests_->acknowledged(); error != 0) die("the event could not be caused");
    return static_cast<double>(end - begin) / 1000;
  }

  Kind kind_;
  bool crowded_;
  Netns netns_;
  int device_ = 0;
  Process tunnels_, process_;
  std::unique_ptr<RawSocket> requests_, observer_;
};

/// Samples of each arm, in its order, by repetition.
std::vector<Series> interleaved(std::vector<Arm>& arms, const std::vector<Trigger>& triggers, int turns,
                                const Options& options) {
  std::vector<Series> all(arms.size(), Series(static_cast<std::size_t>(options.repetitions())));
  for (std::size_t repetition = 0; repetition < all.front().size(); ++repetition)
    for (int i = 0; i < turns; ++i)
      for (const std::size_t who : shuffled(arms.size())) {
        arms[who].rest();
        all[who][repetition].push_back(arms[who].measure(triggers[who]));
      }
  return all;
}

using MakeTrigger = Trigger (*)(int device);

std::vector<Trigger> triggersFor(const std::vector<Arm>& arms, MakeTrigger make) {
  std::vector<Trigger> triggers;
  for (const Arm& arm : arms) triggers.push_back(make(arm.device()));
  return triggers;
}

std::vector<Row> againstMnl(const Options& options) {
  constexpr std::pair<const char*, MakeTrigger> kEvents[] = {
      {"route deleted", routeDeleted}, {"address deleted", addressDeleted}, {"gateway changed", gatewayChanged}};
  std::vector<Arm> arms;
  for (const Kind kind : {Kind::ours, Kind::mnl, Kind::mnl}) arms.emplace_back(kind, options);
  std::vector<Row> rows;
  for (const auto& [name, make] : kEvents) {
    const auto all = interleaved(arms, triggersFor(arms, make), options.count(250, 30), options);
    const std::string what = std::string{name} + ", libmnl";
    rows.push_back(compare(what + ", p50", "us", all[0], all[1], all[2], 1.15));
    rows.push_back(compare(what + ", p99", "us", all[0], all[1], all[2], 1.3, 0.99));
  }
  return rows;
}

Row against(const std::string& name, Kind kind, double target, int turns, const Options& options) {
  std::vector<Arm> arms;
  for (const Kind each : {Kind::ours, kind, kind}) arms.emplace_back(each, options);
  auto triggers = triggersFor(arms, routeDeleted);
  if (kind == Kind::shellNft)
    for (std::size_t i = 1; i < arms.size(); ++i) triggers[i] = forShellNft(std::move(triggers[i]));
  const auto all = interleaved(arms, triggers, turns, options);
  return compare("route deleted, " + name, "us", all[0], all[1], all[2], target);
}

}  // namespace

std::vector<Row> reaction(const Options& options) {
  std::vector<Row> rows = againstMnl(options);
  rows.push_back(against("libnl nl_cache_mngr", Kind::nl, 0.75, options.count(250, 30), options));
  rows.push_back(against("ip monitor + ip route", Kind::shellIp, 0.1, options.count(60, 8), options));
  rows.push_back(against("ip monitor + nft -f", Kind::shellNft, 0.06, options.count(60, 8), options));
  return rows;
}

std::vector<Row> many(const Options& options) {
  std::vector<Arm> arms;
  arms.reserve(3);
  const int peers = options.count(10'000, 500);
  arms.emplace_back(Kind::ours, options, Tunnels{.prefix = "many", .count = 10, .peers = peers});
  for (const char* prefix : {"one", "other"})
    arms.emplace_back(Kind::ours, options, Tunnels{.prefix = prefix, .count = 1, .peers = 1});
  const auto all = interleaved(arms, triggersFor(arms, routeDeleted), options.count(20, 4), options);
  return {compare("route deleted, " + std::to_string(10 * peers) + " endpoints against one", "us", all[0], all[1],
                  all[2], 1.05)};
}

}  // namespace wgsteer::bench
