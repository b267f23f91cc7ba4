// SPDX-License-Identifier: GPL-2.0-or-later
// How long packets are lost when a WAN goes: with the daemon, against a kernel that was given two metrics by hand.
#include <algorithm>
#include <linux/rtnetlink.h>
#include <memory>
#include <net/if.h>
#include <string>

#include "benchmarks.hpp"
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

class Arm {
 public:
  /// Without `options`: no daemon.
  Arm(const Options* options, const Tunnels& tunnels) : daemonless_(options == nullptr), prefix_(tunnels.prefix) {
    tunnels_ = startTunnels(road_.router(), tunnels);
    road_.tunnelTakesAll(prefix_ + "0");
    if (options != nullptr)
      daemon_ = startDaemon(road_.router(), *options, 2);
    else
      policyByHand();
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
      if (daemonless_) defaultByHand();
    }
    road_.awaitFirstWan();
    if (!daemonless_) daemon_.awaitIdle();
    return outage;
  }

  std::int64_t leaked() const { return road_.sentBy(prefix_) - leakedBefore_; }

 private:
  void policyByHand() {
    addPolicyByHand(road_.router(), 2);
    std::string script;
    for (int i = 0; i < 2; ++i)
      script += "echo 1 >/proc/sys/net/ipv4/conf/" + wanName(i) + "/ignore_routes_with_linkdown\n";
    road_.router().shell(script);
  }
  void defaultByHand() {
    road_.router().shell("ip route replace default via " + wanGateway(0) + " dev wan0 onlink proto 87 metric 1 table " +
                         std::to_string(kPolicyTable));
  }

  bool daemonless_;
  std::string prefix_;
  Road road_;
  Process tunnels_, daemon_;
  std::unique_ptr<RawSocket> here_, there_;
  int link_ = 0, peer_ = 0;
  std::int64_t leakedBefore_ = 0;
};

struct Outcome {
  std::vector<Series> gaps;
  std::vector<int> lasting;  ///< outages of each arm that did not end while they were looked at
};

Outcome interleaved(std::vector<Arm>& arms, Loss loss, int turns, const Options& options) {
  Outcome outcome;
  outcome.gaps.assign(arms.size(), Series(static_cast<std::size_t>(options.repetitions())));
  outcome.lasting.assign(arms.size(), 0);
  for (std::size_t repetition = 0; repetition < outcome.gaps.front().size(); ++repetition)
    for (int i = 0; i < turns; ++i)
      for (const std::size_t who : shuffled(arms.size())) {
        pause(5'000, 15'000);
        const Road::Outage outage = arms[who].measure(loss);
        // Nothing for as long as it was sent for: as long a gap as this can see.
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

}  // namespace

std::vector<Row> failover(const Options& options) {
  std::vector<Arm> arms;
  arms.reserve(3);
  arms.emplace_back(&options, Tunnels{.prefix = "steered", .count = 1, .peers = 1});
  arms.emplace_back(nullptr, Tunnels{.prefix = "kernel", .count = 1, .peers = 1});
  arms.emplace_back(nullptr, Tunnels{.prefix = "other", .count = 1, .peers = 1});
  std::vector<Row> rows;
  for (const auto& [name, loss] : kLosses) {
    const Outcome outcome = interleaved(arms, loss, options.count(100, 5), options);
    rows.push_back(
        compare(std::string{"failover gap, "} + name, "us", outcome.gaps[0], outcome.gaps[1], outcome.gaps[2], 1.1));
    rows.back().note = noteOn(outcome.lasting);
  }
  rows.push_back(atMost("failover, packets leaked to the tunnel", "packets", static_cast<double>(arms[0].leaked()), 0));
  return rows;
}

std::vector<Row> crowd(const Options& options) {
  std::vector<Arm> arms;
  arms.reserve(3);
  arms.emplace_back(&options,
                    Tunnels{.prefix = "crowd", .count = options.count(10, 2), .peers = options.count(10'000, 500)});
  arms.emplace_back(&options, Tunnels{.prefix = "single", .count = 1, .peers = 1});
  arms.emplace_back(&options, Tunnels{.prefix = "again", .count = 1, .peers = 1});
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
