// SPDX-License-Identifier: GPL-2.0-or-later
// How long packets are lost when a WAN goes down: with the daemon, against a kernel with two metrics set by hand, and
// against a shell script that replaces one route.
#include <algorithm>
#include <iterator>
#include <linux/rtnetlink.h>
#include <memory>
#include <net/if.h>
#include <string>

#include "benchmarks.hpp"
#include "reactors.hpp"
#include "traffic.hpp"

namespace wgsteer::bench {

namespace {

/// ip link set DEVICE up|down.
Prebuilt linkMessage(int device, bool up) {
  Prebuilt bytes(NLMSG_SPACE(sizeof(ifinfomsg)));
  nlmsghdr* header = mnl_nlmsg_put_header(bytes.data());
  header->nlmsg_type = RTM_NEWLINK;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = 1;
  auto& extra = *static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  extra.ifi_index = device;
  if (up) extra.ifi_flags = IFF_UP;
  extra.ifi_change = IFF_UP;
  return bytes;
}

enum class Loss { link, carrier };

/// As the daemon has it.
void followLinks(const Netns& router) {
  std::string script;
  for (int i = 0; i < 2; ++i)
    script += "echo 1 >/proc/sys/net/ipv4/conf/" + wanName(i) + "/ignore_routes_with_linkdown\n";
  router.shell(script);
}

enum class Keeper { daemon, kernel, shell };

/// Connections of a LAN, by a rule of the daemon, or by the two default routes of main.
class LanArm {
 public:
  LanArm(bool steered, const Options& options) : road_(Road::Traffic::lan) {
    const std::string rule =
        "[[policy]]\nname = \"lan\"\nuse_wan = [\"wan0\", \"wan1\"]\nfailback = \"move\"\n"
        "[[rule]]\nname = \"lan\"\nsrc_ip = [\"" +
        std::string{Road::kLan} + "\"]\nuse_policy = \"lan\"\n";
    if (steered)
      daemon_ = startDaemon(road_.router(), options, writeConfiguration(2, rule, "lan"));
    else
      followLinks(road_.router());
    road_.router().inside([&] { here_ = std::make_unique<RawSocket>(); });
    road_.internet().inside([&] { there_ = std::make_unique<RawSocket>(); });
    link_ = deviceIndex(road_.router(), "wan0");
    peer_ = deviceIndex(road_.internet(), "wan0p");
    road_.awaitFirstWan();
  }

  Road::Outage measure(Loss loss) {
    RawSocket& cause = loss == Loss::link ? *here_ : *there_;
    const int device = loss == Loss::link ? link_ : peer_;
    const Road::Outage outage = road_.outage(cause, linkMessage(device, false));
    cause.transact(linkMessage(device, true));
    if (loss == Loss::link) road_.restoreMain();
    road_.awaitFirstWan();
    if (daemon_.id() > 0) daemon_.awaitIdle();
    return outage;
  }

 private:
  Road road_;
  Process daemon_;
  std::unique_ptr<RawSocket> here_, there_;
  int link_ = 0, peer_ = 0;
};

class Arm {
 public:
  Arm(Keeper keeper, const Options& options, const Tunnels& tunnels) : keeper_(keeper), prefix_(tunnels.prefix) {
    tunnels_ = startTunnels(road_.router(), tunnels);
    road_.tunnelTakesAll(prefix_ + "0");
    if (keeper == Keeper::daemon)
      process_ = startDaemon(road_.router(), options, 2);
    else
      policyByHand();
    if (keeper == Keeper::shell) {
      process_ = Process(road_.router(), [] { exec({"sh", "-c", shellWithLinks()}); });
      pause(300'000, 300'000);  // `ip monitor` does not say when it is listening
    }
    road_.router().inside([&] { here_ = std::make_unique<RawSocket>(); });
    road_.internet().inside([&] { there_ = std::make_unique<RawSocket>(); });
    link_ = deviceIndex(road_.router(), "wan0");
    peer_ = deviceIndex(road_.internet(), "wan0p");
    road_.awaitFirstWan();
    leakedBefore_ = road_.sentBy(prefix_);
  }

  Road::Outage measure(Loss loss) {
    RawSocket& cause = loss == Loss::link ? *here_ : *there_;
    const int device = loss == Loss::link ? link_ : peer_;
    const Road::Outage outage = road_.outage(cause, linkMessage(device, false));
    cause.transact(linkMessage(device, true));
    if (loss == Loss::link) {
      road_.restoreMain();
      if (keeper_ == Keeper::kernel) defaultByHand();
    }
    road_.awaitFirstWan();
    if (keeper_ == Keeper::daemon) process_.awaitIdle();
    // It runs other programs, for each of several announcements, so awaiting its own idleness is not enough.
    if (keeper_ == Keeper::shell) pause(80'000, 120'000);
    return outage;
  }

  std::int64_t leaked() const { return road_.sentBy(prefix_) - leakedBefore_; }

 private:
  void policyByHand() {
    addPolicyByHand(road_.router(), keeper_ == Keeper::kernel ? 2 : 1);
    followLinks(road_.router());
  }
  void defaultByHand() {
    road_.router().shell("ip route replace default via " + wanGateway(0) + " dev wan0 onlink proto 87 metric 1 table " +
                         std::to_string(kPolicyTable));
  }

  Keeper keeper_;
  std::string prefix_;
  Road road_;
  Process tunnels_, process_;
  std::unique_ptr<RawSocket> here_, there_;
  int link_ = 0, peer_ = 0;
  std::int64_t leakedBefore_ = 0;
};

struct Outcome {
  std::vector<Series> gaps;
  std::vector<int> lasting;  ///< outages of each arm that did not end while traffic was sent
};

template <class Arm>
Outcome interleaved(std::vector<Arm>& arms, Loss loss, int turns, const Options& options) {
  Outcome outcome;
  outcome.gaps.assign(arms.size(), Series(static_cast<std::size_t>(options.repetitions())));
  outcome.lasting.assign(arms.size(), 0);
  for (std::size_t repetition = 0; repetition < outcome.gaps.front().size(); ++repetition)
    for (int i = 0; i < turns; ++i)
      for (const std::size_t who : shuffled(arms.size())) {
        pause(5'000, 15'000);
        const Road::Outage outage = arms[who].measure(loss);
        // Nothing arrived until the end of the traffic: the longest gap that this can measure.
        outcome.gaps[who][repetition].push_back(outage.recovered ? outage.gap : 12'000);
        if (!outage.recovered) ++outcome.lasting[who];
      }
  return outcome;
}

constexpr std::pair<const char*, Loss> kLosses[] = {{"link down", Loss::link}, {"carrier loss", Loss::carrier}};

std::string noteOn(const std::vector<int>& lasting) {
  if (std::ranges::all_of(lasting, [](int count) { return count == 0; })) return {};
  std::string note = "outages of more than 12 ms, of the value and of both controls:";
  for (const int count : lasting) note += " " + std::to_string(count);
  return note;
}

std::vector<Arm> againstTwo(Keeper control, const Options& options, const std::string& prefix) {
  std::vector<Arm> arms;
  arms.reserve(3);
  arms.emplace_back(Keeper::daemon, options, Tunnels{.prefix = prefix + "ours", .count = 1, .peers = 1});
  for (const char* which : {"one", "two"})
    arms.emplace_back(control, options, Tunnels{.prefix = prefix + which, .count = 1, .peers = 1});
  return arms;
}

Row againstShell(const Options& options) {
  std::vector<Arm> arms = againstTwo(Keeper::shell, options, "sh");
  const Outcome outcome = interleaved(arms, Loss::link, options.count(40, 3), options);
  Row row = compare("failover gap, link down, ip monitor + ip route", "us", outcome.gaps[0], outcome.gaps[1],
                    outcome.gaps[2], 0.1);
  row.note = noteOn(outcome.lasting);
  return row;
}

std::vector<Row> ofLan(const Options& options) {
  std::vector<LanArm> arms;
  arms.reserve(3);
  for (const bool steered : {true, false, false}) arms.emplace_back(steered, options);
  std::vector<Row> rows;
  for (const auto& [name, loss] : kLosses) {
    const Outcome outcome = interleaved(arms, loss, options.count(40, 5), options);
    rows.push_back(compare(std::string{"failover gap of a LAN's connection, "} + name, "us", outcome.gaps[0],
                           outcome.gaps[1], outcome.gaps[2], 1.05));
    rows.back().note = noteOn(outcome.lasting);
  }
  return rows;
}

}  // namespace

std::vector<Row> failover(const Options& options) {
  std::vector<Arm> arms = againstTwo(Keeper::kernel, options, "k");
  std::vector<Row> rows;
  for (const auto& [name, loss] : kLosses) {
    const Outcome outcome = interleaved(arms, loss, options.count(40, 5), options);
    rows.push_back(
        compare(std::string{"failover gap, "} + name, "us", outcome.gaps[0], outcome.gaps[1], outcome.gaps[2], 1.05));
    rows.back().note = noteOn(outcome.lasting);
  }
  rows.push_back(atMost("failover, packets leaked to the tunnel", "packets", static_cast<double>(arms[0].leaked()), 0));
  rows.push_back(againstShell(options));
  std::ranges::move(ofLan(options), std::back_inserter(rows));
  return rows;
}

std::vector<Row> crowd(const Options& options) {
  std::vector<Arm> arms;
  arms.reserve(3);
  arms.emplace_back(Keeper::daemon, options,
                    Tunnels{.prefix = "crowd", .count = options.count(10, 2), .peers = options.count(10'000, 500)});
  arms.emplace_back(Keeper::daemon, options, Tunnels{.prefix = "single", .count = 1, .peers = 1});
  arms.emplace_back(Keeper::daemon, options, Tunnels{.prefix = "again", .count = 1, .peers = 1});
  std::vector<Row> rows;
  for (const auto& [name, loss] : kLosses) {
    const Outcome outcome = interleaved(arms, loss, options.count(10, 3), options);
    rows.push_back(compare(std::string{"failover gap, 100 000 endpoints, "} + name, "us", outcome.gaps[0],
                           outcome.gaps[1], outcome.gaps[2], 1.05));
    rows.back().note = noteOn(outcome.lasting);
  }
  rows.push_back(atMost("the same, packets leaked", "packets", static_cast<double>(arms[0].leaked()), 0));
  return rows;
}

}  // namespace wgsteer::bench
