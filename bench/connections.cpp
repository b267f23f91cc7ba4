// SPDX-License-Identifier: GPL-2.0-or-later
// What rules for any traffic cost a gateway: per packet of a connection that it knows, and per new connection. It
// tracks connections in any case, for its firewall, which is not ours, masquerades.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <iterator>
#include <linux/netlink.h>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks.hpp"
#include "gateway.hpp"
#include "mwan3.hpp"

namespace wgsteer::bench {

namespace {

constexpr int kBurst = 64;
constexpr int kHosts = 1000;

// --- gateways ---

constexpr const char* kPolicies =
    "[[policy]]\nname = \"first\"\nuse_wan = [\"wan0\", \"wan1\"]\n\n"
    "[[policy]]\nname = \"second\"\nuse_wan = [\"wan1\", \"wan0\"]\n\n";

/// One rule for the whole LAN.
std::string oneRule() {
  return std::string{kPolicies} + "[[rule]]\nname = \"all\"\nsrc_ip = [\"" + Gateway::kHosts4 + "\", \"" +
         Gateway::kHosts6 + "\"]\nuse_policy = \"first\"\n";
}

/// One for each of a thousand hosts.
std::string hostRules() {
  std::string text = kPolicies;
  for (int i = 0; i < kHosts; ++i)
    text += "[[rule]]\nname = \"host" + std::to_string(i) + "\"\nsrc_ip = [\"" +
            Gateway::host(Family::v4, i).toString() + "\"]\nuse_policy = \"first\"\n\n";
  return text;
}

/// Ten hosts, ten services, nine networks, and the rest.
constexpr int kMixed = 30;
std::vector<SimpleRule> mixedRules() {
  std::vector<SimpleRule> rules;
  for (int i = 0; i < kMixed; ++i) {
    SimpleRule rule{.name = "rule" + std::to_string(i), .source = {}, .destination = {}, .first = i % 2 == 0};
    if (i < 10)
      rule.source = Gateway::host(Family::v4, i).toString();
    else if (i < 20)
      rule.udpPort = static_cast<std::uint16_t>(7000 + i);
    else if (i < kMixed - 1)
      rule.destination = "203.0." + std::to_string(i) + ".0/24";
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::string mixedRulesText() {
  std::string text = kPolicies;
  for (const SimpleRule& rule : mixedRules()) {
    text += "[[rule]]\nname = \"" + rule.name + "\"\nuse_policy = \"" + (rule.first ? "first" : "second") + "\"\n";
    if (!rule.source.empty()) text += "src_ip = [\"" + rule.source + "\"]\n";
    if (!rule.destination.empty()) text += "dest_ip = [\"" + rule.destination + "\"]\n";
    if (rule.udpPort != 0) text += "proto = [\"udp\"]\ndest_port = [\"" + std::to_string(rule.udpPort) + "\"]\n";
    text += "\n";
  }
  return text;
}

/// A gateway that masquerades, and what else is to be measured on it.
class Arm {
 public:
  explicit Arm(const std::function<void(const Netns&, Process&)>& add)
      : gateway_([&](const Netns& netns) {
          addFirewall(netns);
          add(netns, daemon_);
        }) {
    gateway_.netns().inside([&] { conntrack_ = std::make_unique<RawSocket>(NETLINK_NETFILTER); });
  }

  double cost(Gateway::Side side, const std::vector<Frame>& frames) { return gateway_.cost(side, frames); }
  void checkArrivals() const { gateway_.checkArrivals(); }
  /// Dies unless rules have matched: what they leave alone would be cheap.
  void checkRules() const { gateway_.netns().shell("nft list counters table inet wgsteer | grep -q 'packets [1-9]'"); }
  void forgetConnections() { conntrack_->transact(forgetConnectionsMessage()); }

 private:
  Process daemon_;
  Gateway gateway_;
  std::unique_ptr<RawSocket> conntrack_;
};

std::unique_ptr<Arm> plainArm() {
  return std::make_unique<Arm>([](const Netns&, Process&) {});
}

std::unique_ptr<Arm> armWith(const Options& options, const std::string& name, const std::string& rules) {
  return std::make_unique<Arm>([&](const Netns& netns, Process& daemon) {
    daemon = startDaemon(netns, options, writeConfiguration(2, rules, name));
  });
}

/// The least that sends a LAN out by a table of its own and keeps its connections there, with nothing else in it.
std::unique_ptr<Arm> armByHand() {
  return std::make_unique<Arm>([](const Netns& netns, Process&) {
    netns.shell(
        "nft 'table inet hand { chain traffic { type filter hook prerouting priority mangle; meta mark set ct mark; "
        "meta mark != 0 return; ct state new iifname lan meta mark set 1 ct mark set 1; }; }'\n"
        "for family in -4 -6; do ip $family rule add pref 100 fwmark 1 lookup 100; done\n"
        "ip route add default via " +
        wanGateway(0) + " dev wan0 table 100; ip route add " + Gateway::kHosts4 +
        " dev lan table 100\nip -6 route add default via 2001:db8:0::1 dev wan0 table 100; ip -6 route add " +
        Gateway::kHosts6 + " dev lan table 100\n");
  });
}

std::unique_ptr<Arm> mwan3Arm() {
  return std::make_unique<Arm>([](const Netns& netns, Process&) { addMwan3Chains(netns, mixedRules()); });
}

using Arms = std::vector<std::unique_ptr<Arm>>;

// --- packets ---

Address internet(Family family) { return *Address::parse(family == Family::v4 ? "198.18.0.1" : "2001:db8:ffff::1"); }

/// Packets of as many connections, from the LAN or back.
std::vector<Frame> flows(Family family, Gateway::Side side) {
  std::vector<Frame> frames;
  constexpr std::uint16_t kFirst = 20'000, kService = 443;
  for (std::uint16_t port = kFirst; port < kFirst + kBurst; ++port)
    frames.push_back(frameOf(side == Gateway::Side::lan ? Datagram{.from = Gateway::kHostSide,
                                                                   .to = Gateway::kLanSide,
                                                                   .source = Gateway::host(family, 0),
                                                                   .destination = internet(family),
                                                                   .sourcePort = port,
                                                                   .destinationPort = kService}
                                                        : Datagram{.from = Gateway::kNobody,
                                                                   .to = Gateway::kWanSide,
                                                                   .source = internet(family),
                                                                   .destination = Gateway::wan(family, 0),
                                                                   .sourcePort = kService,
                                                                   .destinationPort = port}));
  return frames;
}

/// The first packet of the nth connection, from one of a thousand hosts.
Frame fromAnyHost(Family family, int number) {
  return frameOf({.from = Gateway::kHostSide,
                  .to = Gateway::kLanSide,
                  .source = Gateway::host(family, number % kHosts),
                  .destination = internet(family),
                  .sourcePort = static_cast<std::uint16_t>(1024 + number % 60'000),
                  .destinationPort = 443});
}

/// The same, for one of the mixed rules.
Frame forMixedRules(int number) {
  const int rule = number % kMixed;
  const SimpleRule which = mixedRules()[static_cast<std::size_t>(rule)];
  return frameOf({.from = Gateway::kHostSide,
                  .to = Gateway::kLanSide,
                  .source = Gateway::host(Family::v4, which.source.empty() ? 100 + number % 800 : rule),
                  .destination = which.destination.empty() ? internet(Family::v4)
                                                           : *Address::parse("203.0." + std::to_string(rule) + ".1"),
                  .sourcePort = static_cast<std::uint16_t>(1024 + number % 60'000),
                  .destinationPort = which.udpPort == 0 ? std::uint16_t{443} : which.udpPort});
}

// --- measurements ---

std::vector<Series> known(Arms& arms, Family family, Gateway::Side side, const Options& options) {
  for (auto& arm : arms)
    for (const Gateway::Side each : {Gateway::Side::lan, Gateway::Side::internet}) arm->cost(each, flows(family, each));
  const std::vector<Frame> frames = flows(family, side);
  std::vector<Series> all(arms.size(), Series(static_cast<std::size_t>(options.repetitions())));
  for (std::size_t repetition = 0; repetition < all.front().size(); ++repetition)
    for (int i = 0; i < options.count(800, 30); ++i)
      for (const std::size_t who : shuffled(arms.size())) all[who][repetition].push_back(arms[who]->cost(side, frames));
  return all;
}

template <class Make>
std::vector<Series> fresh(Arms& arms, const Options& options, Make make) {
  // All namespaces share one hash table of connections, which is not to fill up.
  constexpr int kTurnsUntilForgotten = 16;
  int number = 0;
  std::vector<Series> all(arms.size(), Series(static_cast<std::size_t>(options.repetitions())));
  for (std::size_t repetition = 0; repetition < all.front().size(); ++repetition)
    for (int i = 0; i < options.count(800, 30); ++i) {
      if (i % kTurnsUntilForgotten == 0)
        for (auto& arm : arms) arm->forgetConnections();
      std::vector<Frame> frames;
      while (frames.size() < kBurst) frames.push_back(make(number++));
      for (const std::size_t who : shuffled(arms.size()))
        all[who][repetition].push_back(arms[who]->cost(Gateway::Side::lan, frames));
    }
  return all;
}

/// The arms of againstNothing().
enum Which : std::size_t { plain, otherPlain, noRule, oneOfAll, ofHosts, byHand };

void addRows(std::vector<Row>& rows, const std::string& name, const std::vector<Series>& all, Family family,
             double target, double targetOfHosts) {
  const auto against = [&](Which which, double limit, const std::string& rules) {
    rows.push_back(compare(name + ", " + rules, "ns", all[which], all[plain], all[otherPlain], limit));
  };
  // It is only there to steer WireGuard, and not even that: there is no tunnel.
  against(noRule, 1.05, "no rule");
  against(oneOfAll, target, "1 rule");
  rows.back().note = "by hand, with one ip rule and one chain of three statements: " +
                     ratioText(ratioOf(all[byHand], all[plain], 0.5));
  if (family == Family::v4) against(ofHosts, targetOfHosts, "1000 rules");
}

std::string ipName(Family family) { return family == Family::v4 ? "IPv4" : "IPv6"; }

std::vector<Row> againstNothing(const Options& options) {
  Arms arms;
  arms.push_back(plainArm());
  arms.push_back(plainArm());
  arms.push_back(armWith(options, "none", ""));
  arms.push_back(armWith(options, "one", oneRule()));
  arms.push_back(armWith(options, "hosts", hostRules()));
  arms.push_back(armByHand());
  std::vector<Row> rows;
  for (const auto& [side, direction] :
       {std::pair{Gateway::Side::lan, "to"}, std::pair{Gateway::Side::internet, "from"}})
    for (const Family family : kFamilies)
      addRows(rows, std::string{"gateway, known connection, "} + direction + " the Internet, " + ipName(family),
              known(arms, family, side, options), family, 1.05, 1.05);
  for (const Family family : kFamilies)
    addRows(rows, "gateway, new connection, " + ipName(family),
            fresh(arms, options, [&](int number) { return fromAnyHost(family, number); }), family, 1.15, 1.25);
  for (const Which which : {oneOfAll, ofHosts}) arms[which]->checkRules();
  for (const auto& arm : arms) arm->checkArrivals();
  return rows;
}

std::vector<Row> againstMwan3(const Options& options) {
  if (!canHaveMwan3Chains()) {
    std::fputs("bench: no iptables-nft-restore, so nothing is compared with mwan3's chains\n", stderr);
    return {};
  }
  Arms arms;
  arms.push_back(armWith(options, "mixed", mixedRulesText()));
  arms.push_back(mwan3Arm());
  arms.push_back(mwan3Arm());
  arms.push_back(plainArm());
  arms.push_back(plainArm());
  const auto before = known(arms, Family::v4, Gateway::Side::lan, options);
  const auto all = fresh(arms, options, forMixedRules);
  arms.front()->checkRules();
  for (const auto& arm : arms) arm->checkArrivals();
  return {
      compare("gateway, known connection, 30 rules, against mwan3's chains", "ns", before[0], before[1], before[2], 1),
      compare("gateway, new connection, 30 rules, against mwan3's chains", "ns", all[0], all[1], all[2], 1 / 1.5),
      compare("gateway, new connection, 30 rules", "ns", all[0], all[3], all[4], 1.25)};
}

}  // namespace

std::vector<Row> connections(const Options& options) {
  std::vector<Row> rows = againstNothing(options);
  std::ranges::move(againstMwan3(options), std::back_inserter(rows));
  return rows;
}

}  // namespace wgsteer::bench
