// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer_network.hpp"

#include <arpa/inet.h>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace wgsteer::health::test {

using wgsteer::test::shell;

PeerNetwork::PeerNetwork() {
  std::array<int, 2> ready{};
  EXPECT_EQ(::pipe(ready.data()), 0);
  holder_ = ::fork();
  if (holder_ == 0) {
    const bool made = ::unshare(CLONE_NEWNET) == 0;
    [[maybe_unused]] const auto told = ::write(ready[1], made ? "y" : "n", 1);
    for (;;) ::pause();
  }
  char answer = 'n';
  EXPECT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  ::close(ready[0]);
  ::close(ready[1]);
  own_.reset(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  theirs_.reset(::open(("/proc/" + std::to_string(holder_) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC));
  shell("ip link set lo up");
}

PeerNetwork::~PeerNetwork() {
  ::kill(holder_, SIGKILL);
  ::waitpid(holder_, nullptr, 0);
}

std::string PeerNetwork::shell(const std::string& command) const {
  EXPECT_EQ(::setns(theirs_.get(), CLONE_NEWNET), 0);
  std::string output = wgsteer::test::shell(command);
  EXPECT_EQ(::setns(own_.get(), CLONE_NEWNET), 0);
  return output;
}

void PeerNetwork::addWan(const std::string& device, int metric, int subnet) const {
  const std::string v4 = "192.0." + std::to_string(subnet) + ".";
  const std::string v6 = "2001:db8:" + std::to_string(subnet) + "::";
  const std::string peer = device + "p";
  wgsteer::test::addVethPair(device, peer);
  wgsteer::test::shell("ip link set " + peer + " netns " + std::to_string(holder_));
  std::string there = "echo 0 > /proc/sys/net/ipv6/conf/" + peer + "/accept_dad; ip link set " + peer + " up;";
  for (const char* host : {"1", "11", "12", "13"})
    there += "ip address add " + v4 + host + "/24 dev " + peer + "; ip address add " + v6 + host + "/64 dev " + peer +
             " nodad;";
  shell(there + wgsteer::test::carrierOf(peer));
  const std::string by = " dev " + device + " metric " + std::to_string(metric);
  wgsteer::test::shell("ip address add " + v4 + "2/24 dev " + device + "; ip address add " + v6 + "2/64 dev " + device +
                       " nodad; ip route add default via " + v4 + "1" + by + "; ip -6 route add default via " + v6 +
                       "1" + by + "; " + wgsteer::test::carrierOf(device));
}

os::Fd PeerNetwork::socketIn(int domain, int type, int protocol, const std::string& address, std::uint16_t port) const {
  EXPECT_EQ(::setns(theirs_.get(), CLONE_NEWNET), 0);
  os::Fd made{::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)};
  EXPECT_EQ(::setns(own_.get(), CLONE_NEWNET), 0);
  EXPECT_TRUE(made) << std::strerror(errno);
  if (address.empty()) return made;
  const SocketAddress to = toSocketAddress({*Address::parse(address), port}, {});
  EXPECT_EQ(::bind(made.get(), to.get(), to.length), 0) << address << ": " << std::strerror(errno);
  return made;
}

std::vector<TargetRound> probeOnce(Prober& prober, const std::vector<Service>& services) {
  prober.start();
  return finishRound(prober, services);
}

std::vector<TargetRound> finishRound(Prober& prober, const std::vector<Service>& services) {
  constexpr int kPatience = 10000;
  for (;;) {
    std::vector<pollfd> ready{{.fd = prober.descriptor(), .events = POLLIN, .revents = 0}};
    for (const Service& service : services) ready.push_back({.fd = service.descriptor, .events = POLLIN, .revents = 0});
    if (::poll(ready.data(), ready.size(), kPatience) < 1) {
      ADD_FAILURE() << "the round does not end";
      return {};
    }
    for (std::size_t i = 0; i < services.size(); ++i)
      if ((ready[i + 1].revents & POLLIN) != 0) services[i].serve();
    if ((ready[0].revents & POLLIN) != 0)
      if (auto results = prober.ready()) return *results;
  }
}

}  // namespace wgsteer::health::test
