// SPDX-License-Identifier: GPL-2.0-or-later
#include "gateway.hpp"

#include <arpa/inet.h>
#include <fstream>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "stats.hpp"

namespace wgsteer::bench {

namespace {

constexpr int kHostsPerByte = 250;

std::string wanAddress6(int number) { return "2001:db8:" + std::to_string(number) + "::10"; }
std::string wanGateway6(int number) { return "2001:db8:" + std::to_string(number) + "::1"; }

std::string wanScript(int number, const std::string& internet) {
  const std::string name = wanName(number), metric = " metric " + std::to_string(wanMetric(number));
  Mac mac = Gateway::kWanSide;
  mac.back() = static_cast<std::uint8_t>(mac.back() + number);
  std::string script = "ip link add " + name + " address " + textOf(mac) + " type veth peer name " + name + "p netns " +
                       internet + "\nip link set " + name + " up\n";
  script += "ip address add " + wanAddress(number) + "/24 dev " + name + "\n";
  script += "ip address add " + wanAddress6(number) + "/64 dev " + name + " nodad\n";
  script += "ip route add default via " + wanGateway(number) + " dev " + name + metric + "\n";
  script += "ip route add default via " + wanGateway6(number) + " dev " + name + metric + "\n";
  return script;
}

std::string neighbour(const std::string& address, const std::string& device) {
  return "ip neigh replace " + address + " lladdr " + textOf(Gateway::kNobody) + " dev " + device + " nud permanent\n";
}

/// Frames that a device has received so far.
std::int64_t received(const Netns& netns, const std::string& device) {
  std::int64_t packets = -1;
  netns.inside([&] {
    std::ifstream file("/proc/thread-self/net/dev");
    for (std::string line; std::getline(file, line);) {
      std::istringstream fields(line);
      std::string name;
      std::int64_t bytes = 0;
      if (fields >> name >> bytes && name == device + ":") fields >> packets;
    }
  });
  need(packets >= 0, "packets of " + device);
  return packets;
}

}  // namespace

Address Gateway::host(Family family, int number) {
  const std::string high = std::to_string(number / kHostsPerByte), low = std::to_string(number % kHostsPerByte + 2);
  return *Address::parse(family == Family::v4 ? "10.9." + high + "." + low : "fd09::" + high + ":" + low);
}

Address Gateway::wan(Family family, int number) {
  return *Address::parse(family == Family::v4 ? wanAddress(number) : wanAddress6(number));
}

Gateway::Gateway(const std::function<void(const Netns&)>& prepare)
    : hostHolder_(host_, [] { ::pause(); }), internetHolder_(internet_, [] { ::pause(); }) {
  wire();
  prepare(gateway_);
  // Only after the daemon has refreshed its gateways: nobody would answer the kernel's requests for their addresses.
  std::string neighbours;
  for (int i = 0; i < 2; ++i)
    neighbours += neighbour(wanGateway(i), wanName(i)) + neighbour(wanGateway6(i), wanName(i));
  for (const Family family : kFamilies) neighbours += neighbour(host(family, 0).toString(), "lan");
  gateway_.shell(neighbours);
  fromHost_ = packetSocket(host_, "lan0");
  fromInternet_ = packetSocket(internet_, "wan0p");
  arrivedBefore_ = arrived();
}

void Gateway::wire() {
  const std::string host = std::to_string(hostHolder_.id()), internet = std::to_string(internetHolder_.id());
  gateway_.shell(
      "echo 1 >/proc/sys/net/ipv4/ip_forward\n"
      "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding\n"
      "echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode\n"
      "ip link add lan type veth peer name lan0 netns " +
      host + "\nip link set lan address " + textOf(kLanSide) +
      " up\nip address add 10.9.255.1/16 dev lan\nip address add fd09::ffff:1/64 dev lan nodad\n" +
      wanScript(0, internet) + wanScript(1, internet));
  const std::string quiet = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6\n";
  host_.shell(quiet + "ip link set lan0 address " + textOf(kHostSide) + " up");
  internet_.shell(quiet + "ip link set wan0p up; ip link set wan1p up");
}

os::Fd Gateway::packetSocket(const Netns& netns, const std::string& device) {
  os::Fd result;
  // Protocol 0: it receives nothing, so arriving frames are not copied for it.
  netns.inside([&] { result.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); });
  need(static_cast<bool>(result), "a packet socket");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = deviceIndex(netns, device);
  need(::bind(result.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind to " + device);
  return result;
}

double Gateway::cost(Side side, std::span<const Frame> frames) {
  const int socket = (side == Side::lan ? fromHost_ : fromInternet_).get();
  const std::int64_t begin = threadTime();
  for (const Frame& frame : frames)
    if (::send(socket, frame.data(), frame.size(), 0) < 0) need(false, "send");
  const std::int64_t end = threadTime();
  sent_ += static_cast<std::int64_t>(frames.size());
  return static_cast<double>(end - begin) / static_cast<double>(frames.size());
}

std::int64_t Gateway::arrived() const {
  return received(host_, "lan0") + received(internet_, "wan0p") + received(internet_, "wan1p") - arrivedBefore_;
}

void Gateway::checkArrivals() const {
  // Frames that another context handles may be a little late.
  for (int i = 0; i < 100 && arrived() < sent_; ++i) ::usleep(10'000);
  if (arrived() < sent_)
    die("of " + std::to_string(sent_) + " packets " + std::to_string(arrived()) + " were forwarded");
}

}  // namespace wgsteer::bench
