// SPDX-License-Identifier: GPL-2.0-or-later
// What the rules, the routes and the nft table cost per packet that this host sends or forwards, in CPU time of the
// sender.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

#include "benchmarks.hpp"
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

/// Sum of the 16-bit words of an IPv4 header, RFC 1071.
std::uint16_t checksum(const iphdr& header) {
  std::array<std::uint16_t, sizeof header / 2> words{};
  std::memcpy(words.data(), &header, sizeof header);
  std::uint32_t sum = 0;
  for (const std::uint16_t word : words) sum += word;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// A gateway with two WANs and a tunnel of ten peers, a host in its LAN, and the Internet behind its first WAN. The
/// host's frames are written directly to its device, so that little more than the forwarding is measured. The
/// Internet's device counts arriving frames, and its kernel drops them at once because they carry another MAC address.
class Gateway {
 public:
  Gateway(const Options& options, const std::string& tunnel, Steering steering)
      : hostHolder_(host_, [] { ::pause(); }), internetHolder_(internet_, [] { ::pause(); }) {
    wire();
    tunnels_ = startTunnels(gateway_, {.prefix = tunnel, .count = 1, .peers = 10});
    steer(gateway_, options, steering);
    // Only after the daemon has refreshed its gateways: that makes a permanent entry lose its address, and nobody would
    // answer the kernel's ARP requests.
    std::string neighbours;
    for (int i = 0; i < 2; ++i)
      neighbours +=
          "ip neigh replace " + wanGateway(i) + " lladdr " + kNobody + " dev " + wanName(i) + " nud permanent\n";
    gateway_.shell(neighbours);
    host_.inside([&] {
      socket_ = os::Fd{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
      need(static_cast<bool>(socket_), "a packet socket");
    });
    sockaddr_ll device{};
    device.sll_family = AF_PACKET;
    device.sll_ifindex = deviceIndex(host_, "lan0");
    need(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&device), sizeof device) == 0, "bind to lan0");
    makeFrame();
    arrivedBefore_ = received();
  }

  /// Thread CPU time of one frame, averaged over a burst, ns. Softirqs run in the sender's context.
  double cost() {
    constexpr int kBurst = 64;
    const std::int64_t begin = threadTime();
    for (int i = 0; i < kBurst; ++i)
      if (::send(socket_.get(), frame_.data(), frame_.size(), 0) < 0) need(false, "send");
    const std::int64_t end = threadTime();
    sent_ += kBurst;
    return static_cast<double>(end - begin) / kBurst;
  }

  /// Dies unless all frames have arrived: a dropped packet would be cheap.
  void checkArrivals() const {
    // Frames that another context handles may be a little late.
    for (int i = 0; i < 100 && arrived() < sent_; ++i) ::usleep(10'000);
    if (arrived() < sent_)
      die("of " + std::to_string(sent_) + " packets " + std::to_string(arrived()) + " were forwarded");
  }

 private:
  static constexpr const char* kHostSide = "02:00:00:00:00:01";
  static constexpr const char* kGatewaySide = "02:00:00:00:00:02";
  static constexpr const char* kNobody = "02:00:00:00:00:03";

  void wire() {
    const std::string holders[] = {std::to_string(hostHolder_.id()), std::to_string(internetHolder_.id())};
    std::string script =
        "echo 1 >/proc/sys/net/ipv4/ip_forward\n"
        "echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode\n"
        "ip link add lan type veth peer name lan0 netns " +
        holders[0] + "\nip link set lan address " + kGatewaySide + " up\nip address add 10.9.0.1/24 dev lan\n";
    for (int i = 0; i < 2; ++i) {
      const std::string name = wanName(i);
      script += "ip link add " + name + " type veth peer name " + name + "p netns " + holders[1] + "\nip link set " +
                name + " up\nip address add " + wanAddress(i) + "/24 dev " + name + "\nip route add default via " +
                wanGateway(i) + " dev " + name + " metric " + std::to_string(wanMetric(i)) + "\n";
    }
    gateway_.shell(script);
    const std::string quiet = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6\n";
    host_.shell(quiet + "ip link set lan0 address " + kHostSide + " up");
    internet_.shell(quiet + "ip link set wan0p up; ip link set wan1p up");
    gateway_.shell("echo 1 >/proc/sys/net/ipv6/conf/lan/disable_ipv6\n");
  }

  void makeFrame() {
    // 100 bytes including the headers of IP and UDP, from the LAN to a port that no tunnel has.
    constexpr std::uint16_t kPacket = 100;
    struct {
      ethhdr link;
      iphdr internet;
      udphdr datagram;
    } __attribute__((packed)) headers{};
    constexpr std::array<std::uint8_t, ETH_ALEN> kTo{2, 0, 0, 0, 0, 2}, kFrom{2, 0, 0, 0, 0, 1};
    std::ranges::copy(kTo, headers.link.h_dest);
    std::ranges::copy(kFrom, headers.link.h_source);
    headers.link.h_proto = ::htons(ETH_P_IP);
    iphdr header{};
    header.version = 4;
    header.ihl = 5;
    header.tot_len = ::htons(kPacket);
    header.ttl = 64;
    header.protocol = IPPROTO_UDP;
    ::inet_pton(AF_INET, "10.9.0.2", &header.saddr);
    ::inet_pton(AF_INET, "198.18.0.1", &header.daddr);
    header.check = checksum(header);
    headers.internet = header;
    headers.datagram.source = ::htons(40'000);
    headers.datagram.dest = ::htons(443);
    headers.datagram.len = ::htons(kPacket - sizeof(iphdr));  // no checksum, which IPv4 allows
    frame_.assign(sizeof(ethhdr) + kPacket, '\0');
    std::memcpy(frame_.data(), &headers, sizeof headers);
  }

  std::int64_t arrived() const { return received() - arrivedBefore_; }

  std::int64_t received() const {
    std::int64_t packets = -1;
    internet_.inside([&] {
      std::ifstream file("/proc/thread-self/net/dev");
      for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        std::string name;
        std::int64_t bytes = 0;
        if (fields >> name >> bytes && name == "wan0p:") fields >> packets;
      }
    });
    need(packets >= 0, "packets of wan0p");
    return packets;
  }

  Netns host_, gateway_, internet_;
  Process hostHolder_, internetHolder_, tunnels_;
  os::Fd socket_;
  std::vector<char> frame_;
  std::int64_t sent_ = 0, arrivedBefore_ = 0;
};

std::vector<Row> forwarded(const Options& options) {
  std::vector<std::unique_ptr<Gateway>> gateways;
  for (const auto& [tunnel, steering] :
       {std::pair{"steered", Steering::whole}, std::pair{"plain", Steering::none}, std::pair{"other", Steering::none},
        std::pair{"empty", Steering::emptyChains}, std::pair{"again", Steering::emptyChains}})
    gateways.push_back(std::make_unique<Gateway>(options, tunnel, steering));
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
