// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules, the routes and the nft table cost per packet that this host sends or forwards, in CPU time of the
// sender.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <iterator>
#include <linux/netlink.h>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <tuple>
#include <utility>
#include <vector>

#include "benchmarks.hpp"
#include "gateway.hpp"
#include "raw_nft.hpp"

namespace wgsteer::bench {

namespace {

enum class Packet { unrelated, miss, hit, marked };

/// What a packet meets: nothing, the daemon's rules, routes and table, or the same with chains that are empty. The last
/// tells what the hooks cost by themselves from what the rules in them cost.
enum class Steering { none, whole, emptyChains };

void steer(const Netns& netns, const Options& options, Steering steering) {
  if (steering == Steering::none) return;
  startDaemon(netns, options, 2, true);
  if (steering == Steering::emptyChains) netns.shell("nft flush table inet wgsteer");
}

/// A namespace, and functions that send in it.
class Sender {
 public:
  Sender(const Options& options, Steering steering, int endpoints = 0) {
    addWans(netns_, 2);
    steer(netns_, options, steering);
    load(endpoints);
    netns_.inside([&] {
      for (const Packet packet : {Packet::unrelated, Packet::miss, Packet::hit, Packet::marked}) open(packet);
    });
  }

  /// Thread CPU time of one sendto(2), averaged over a burst, ns.
  double cost(Packet packet) {
    constexpr int kBurst = 64;
    // 100.64.0.1 is the first endpoint; 198.18.0.1 is no endpoint.
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = ::htons(kEndpointPort);
    ::inet_pton(AF_INET,
                packet == Packet::unrelated || packet == Packet::miss ? "198.18.0.1" : endpointAddress(0).c_str(),
                &to.sin_addr);
    const int socket = sockets_[static_cast<std::size_t>(packet)].get();
    // As QUIC begins; or as WireGuard might.
    std::array<char, 148> payload{};
    if (packet == Packet::unrelated) payload.front() = 0x40;
    const std::int64_t begin = threadTime();
    for (int i = 0; i < kBurst; ++i)
      if (::sendto(socket, payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
        need(false, "sendto");
    return static_cast<double>(threadTime() - begin) / kBurst;
  }

 private:
  void load(int endpoints) {
    netns_.inside([&] {
      RawSocket nft(NETLINK_NETFILTER);
      constexpr int kChunk = 1000;
      for (int done = 0; done < endpoints; done += kChunk)
        nft.transact(endpointBatch(true, done, std::min(kChunk, endpoints - done)));
    });
  }

  void open(Packet packet) {
    os::Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    need(static_cast<bool>(socket), "socket");
    const std::uint32_t mark = kPolicyMark;
    if (packet == Packet::marked)
      need(::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0, "SO_MARK");
    sockets_[static_cast<std::size_t>(packet)] = std::move(socket);
  }

  Netns netns_;
  std::array<os::Fd, 4> sockets_;
};

/// A gateway with a tunnel of ten peers. What it forwards is from the LAN to a port that no tunnel has.
class Forwarder {
 public:
  Forwarder(const Options& options, const std::string& tunnel, Steering steering)
      : gateway_([&](const Netns& netns) {
          tunnels_ = startTunnels(netns, {.prefix = tunnel, .count = 1, .peers = 10});
          steer(netns, options, steering);
        }) {}
  double cost() { return gateway_.cost(Gateway::Side::lan, frames_); }
  void checkArrivals() const { gateway_.checkArrivals(); }

 private:
  Process tunnels_;
  Gateway gateway_;
  std::vector<Frame> frames_{64, frameOf({.from = Gateway::kHostSide,
                                          .to = Gateway::kLanSide,
                                          .source = Gateway::host(Family::v4, 0),
                                          .destination = *Address::parse("198.18.0.1"),
                                          .sourcePort = 40'000,
                                          .destinationPort = 443})};
};

std::vector<Row> forwarded(const Options& options) {
  std::vector<std::unique_ptr<Forwarder>> gateways;
  for (const auto& [tunnel, steering] :
       {std::pair{"steered", Steering::whole}, std::pair{"plain", Steering::none}, std::pair{"other", Steering::none},
        std::pair{"empty", Steering::emptyChains}, std::pair{"again", Steering::emptyChains}})
    gateways.push_back(std::make_unique<Forwarder>(options, tunnel, steering));
  std::vector<Series> all(gateways.size(), Series(static_cast<std::size_t>(options.repetitions())));
  for (auto& gateway : gateways) gateway->cost();
  for (std::size_t repetition = 0; repetition < all.front().size(); ++repetition)
    for (int i = 0; i < options.count(800, 50); ++i)
      for (const std::size_t who : shuffled(gateways.size())) all[who][repetition].push_back(gateways[who]->cost());
  for (const auto& gateway : gateways) gateway->checkArrivals();
  const std::string name = "packet that is forwarded, 100 bytes";
  return {compare(name, "ns", all[0], all[1], all[2], 1.03),
          compare(name + ", against empty chains", "ns", all[0], all[3], all[4], 1.03)};
}

constexpr std::array kEndpoints{10, 1'000, 100'000};

struct Bench {
  std::vector<std::unique_ptr<Sender>> senders;  ///< two controls of each kind, then by kEndpoints
  std::size_t repetitions = 0;

  std::vector<Series> measure(Packet packet, int turns) {
    std::vector<Series> all(senders.size(), Series(repetitions));
    for (auto& sender : senders) sender->cost(packet);
    for (std::size_t repetition = 0; repetition < repetitions; ++repetition)
      for (int i = 0; i < turns; ++i)
        for (const std::size_t who : shuffled(senders.size()))
          all[who][repetition].push_back(senders[who]->cost(packet));
    return all;
  }
};

}  // namespace

std::vector<Row> packets(const Options& options) {
  Bench bench;
  bench.repetitions = static_cast<std::size_t>(options.repetitions());
  for (const Steering control : {Steering::none, Steering::none, Steering::emptyChains, Steering::emptyChains})
    bench.senders.push_back(std::make_unique<Sender>(options, control));
  for (const int endpoints : kEndpoints)
    bench.senders.push_back(std::make_unique<Sender>(options, Steering::whole, endpoints));
  constexpr std::tuple<Packet, const char*, double> kPackets[] = {
      {Packet::unrelated, "packet that is no WireGuard", 1.1},
      {Packet::miss, "packet to nobody's endpoint", 1.1},
      {Packet::hit, "packet that the set re-marks", 1.6},
      {Packet::marked, "packet of a tunnel with our fwmark", 1.25}};
  std::vector<Row> rows;
  for (const auto& [packet, name, target] : kPackets) {
    const auto all = bench.measure(packet, options.count(800, 50));
    for (std::size_t i = 0; i < kEndpoints.size(); ++i)
      rows.push_back(
          compare(std::string{name} + ", " + std::to_string(kEndpoints[i]), "ns", all[i + 4], all[0], all[1], target));
    Row flat = compare(std::string{name} + ", 100000 against 10", "ns", all[6], all[4], all[4], 1.05);
    flat.aa = rows.back().aa;
    rows.push_back(flat);
    rows.push_back(compare(std::string{name} + ", against empty chains", "ns", all[4], all[2], all[3], target));
  }
  std::ranges::move(forwarded(options), std::back_inserter(rows));
  return rows;
}

}  // namespace wgsteer::bench
