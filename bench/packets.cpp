// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules, the routes and the nft table cost a packet that this host sends, in CPU time of the sender.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <linux/netlink.h>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <tuple>

#include "benchmarks.hpp"
#include "raw_nft.hpp"

namespace wgsteer::bench {

namespace {

enum class Packet { miss, hit, marked };

/// A namespace, and the ways to send in it.
class Sender {
 public:
  explicit Sender(const Options* options, int endpoints) {
    addWans(netns_, 2);
    if (options != nullptr) {
      startDaemon(netns_, *options, 2, true);
      load(endpoints);
    }
    netns_.inside([&] {
      for (const Packet packet : {Packet::miss, Packet::hit, Packet::marked}) open(packet);
    });
  }

  /// Thread CPU time of one sendto(2), averaged over a burst, ns.
  double cost(Packet packet) {
    constexpr int kBurst = 64;
    // 100.64.0.1 is the first endpoint; nobody's is 198.18.0.1.
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = ::htons(kEndpointPort);
    ::inet_pton(AF_INET, packet == Packet::miss ? "198.18.0.1" : endpointAddress(0).c_str(), &to.sin_addr);
    const int socket = sockets_[static_cast<std::size_t>(packet)].get();
    static constexpr std::array<char, 148> kPayload{};
    const std::int64_t begin = threadTime();
    for (int i = 0; i < kBurst; ++i)
      if (::sendto(socket, kPayload.data(), kPayload.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
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
  std::array<os::Fd, 3> sockets_;
};

constexpr std::array kEndpoints{10, 1'000, 100'000};

struct Bench {
  std::vector<std::unique_ptr<Sender>> senders;  ///< two controls, then by kEndpoints
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
  for (int i = 0; i < 2; ++i) bench.senders.push_back(std::make_unique<Sender>(nullptr, 0));
  for (const int endpoints : kEndpoints) bench.senders.push_back(std::make_unique<Sender>(&options, endpoints));
  constexpr std::tuple<Packet, const char*, double> kPackets[] = {
      {Packet::miss, "packet to nobody's endpoint", 1.35},
      {Packet::hit, "packet that the set re-marks", 1.8},
      {Packet::marked, "packet of a tunnel with our fwmark", 1.8}};
  std::vector<Row> rows;
  for (const auto& [packet, name, target] : kPackets) {
    const auto all = bench.measure(packet, options.count(2000, 50));
    for (std::size_t i = 0; i < kEndpoints.size(); ++i)
      rows.push_back(
          compare(std::string{name} + ", " + std::to_string(kEndpoints[i]), "ns", all[i + 2], all[0], all[1], target));
    Row flat = compare(std::string{name} + ", 100000 against 10", "ns", all[4], all[2], all[2], 1.05);
    flat.aa = rows.back().aa;
    rows.push_back(flat);
  }
  return rows;
}

}  // namespace wgsteer::bench
