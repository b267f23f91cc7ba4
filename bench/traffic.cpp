// SPDX-License-Identifier: GPL-2.0-or-later
#include "traffic.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sstream>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "benchmarks.hpp"

namespace wgsteer::bench {

namespace {

constexpr std::int64_t kInterval = 50'000;   ///< ns: 20 000 packets a second
constexpr std::int64_t kBefore = 4'000'000;  ///< of traffic before the event
constexpr std::int64_t kAfter = 12'000'000;  ///< and after it

/// Raises the priority, so that other processes do not delay the cause of an event.
class Urgent {
 public:
  Urgent() { set(SCHED_FIFO | SCHED_RESET_ON_FORK, 10); }
  ~Urgent() { set(SCHED_OTHER, 0); }
  Urgent(const Urgent&) = delete;
  Urgent& operator=(const Urgent&) = delete;

 private:
  static void set(int policy, int priority) {
    const sched_param parameter{.sched_priority = priority};
    // If it is not permitted there is more noise, which A/A shows.
    (void)::sched_setscheduler(0, policy, &parameter);
  }
};

sockaddr_in destination() {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = ::htons(kEndpointPort);
  ::inet_pton(AF_INET, endpointAddress(0).c_str(), &to.sin_addr);
  return to;
}

std::string wanScript(int number) {
  const std::string name = wanName(number);
  const std::string peer = name + "p";
  return "ip link add " + name + " type veth peer name " + peer + "\n" + "ip link set " + name +
         " addrgenmode none; ip link set " + peer + " addrgenmode none\n";
}

}  // namespace

Road::Road(Traffic traffic)
    : traffic_(traffic), holder_(internet_, [] { ::pause(); }), hostHolder_(host_, [] { ::pause(); }) {
  std::string here, there;
  for (int i = 0; i < 2; ++i) {
    const std::string name = wanName(i);
    here += wanScript(i) + "ip link set " + name + "p netns " + std::to_string(holder_.id()) + "\nip address add " +
            wanAddress(i) + "/24 dev " + name + "\nip link set " + name + " up\n";
    there += "ip link set " + name + "p up\nip address add " + wanGateway(i) + "/24 dev " + name +
             "p\necho 0 >/proc/sys/net/ipv4/conf/" + name + "p/rp_filter\n";
  }
  router_.shell(here);
  internet_.shell("echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter\nip address add " + endpointAddress(0) +
                  "/32 dev lo\n" + there);
  learnNeighbours();
  restoreMain();
  router_.shell("ip route replace default via " + wanGateway(1) + " dev wan1 metric 101");
  first_ = deviceIndex(internet_, "wan0p");
  second_ = deviceIndex(internet_, "wan1p");
  if (traffic == Traffic::lan) addLan();
  openSockets();
}

/// Permanent neighbours here as well.
void Road::addLan() {
  constexpr const char* kRouterSide = "02:00:00:00:00:02";
  constexpr const char* kHostSide = "02:00:00:00:00:01";
  router_.shell(
      std::string{"echo 1 >/proc/sys/net/ipv4/ip_forward\nip link add lan address "} + kRouterSide +
      " type veth peer name lan0 address " + kHostSide + " netns " + std::to_string(hostHolder_.id()) +
      "\nip link set lan addrgenmode none up\nip address add 10.9.0.1/24 dev lan\nip neigh replace 10.9.0.2 lladdr " +
      kHostSide + " dev lan nud permanent");
  host_.shell(std::string{"ip link set lan0 addrgenmode none up\nip address add 10.9.0.2/24 dev lan0\n"} +
              "ip route add default via 10.9.0.1\nip neigh replace 10.9.0.1 lladdr " + kRouterSide +
              " dev lan0 nud permanent");
  addFirewall(router_);
}

void Road::openSockets() {
  const Netns& from = traffic_ == Traffic::lan ? host_ : router_;
  from.inside([&] { sender_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); });
  internet_.inside([&] { receiver_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); });
  const std::uint32_t mark = traffic_ == Traffic::lan ? 0 : kPolicyMark;
  need(::setsockopt(sender_.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0, "SO_MARK");
  const int on = 1, size = 8 << 20;
  ::setsockopt(receiver_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  ::setsockopt(receiver_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  ::setsockopt(receiver_.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  const sockaddr_in to = destination();
  need(::bind(receiver_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0, "bind");
}

void Road::learnNeighbours() {
  internet_.inside([&] {
    for (int i = 0; i < 2; ++i) {
      const std::string command = "ip -o link show " + wanName(i) + "p | sed 's/.*ether \\([^ ]*\\).*/\\1/'";
      FILE* pipe = ::popen(command.c_str(), "r");
      char text[32]{};
      need(pipe != nullptr && std::fscanf(pipe, "%31s", text) == 1, command);
      ::pclose(pipe);
      // Permanent entries: the cost of ARP must not be attributed to the reactor.
      neighbours_ +=
          "ip neigh replace " + wanGateway(i) + " lladdr " + text + " dev " + wanName(i) + " nud permanent\n";
    }
  });
}

void Road::restoreMain() {
  router_.shell(neighbours_ + "ip route replace default via " + wanGateway(0) + " dev wan0 metric 100");
}

void Road::tunnelTakesAll(const std::string& tunnel) {
  router_.shell("ip route add 0.0.0.0/1 dev " + tunnel + "; ip route add 128.0.0.0/1 dev " + tunnel);
}

void Road::send() {
  const sockaddr_in to = destination();
  ++sequence_;
  // A momentary lack of a route is a loss like any other.
  [[maybe_unused]] const auto sent =
      ::sendto(sender_.get(), &sequence_, sizeof sequence_, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

std::vector<Road::Arrival> Road::arrivals() {
  std::vector<Arrival> all;
  while (true) {
    Arrival arrival;
    iovec part{.iov_base = &arrival.sequence, .iov_len = sizeof arrival.sequence};
    alignas(cmsghdr) char control[256];
    msghdr message{};
    message.msg_name = &arrival.from;
    message.msg_namelen = sizeof arrival.from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(receiver_.get(), &message, MSG_DONTWAIT) < 0) return all;
    for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr; each = CMSG_NXTHDR(&message, each)) {
      if (each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_PKTINFO) {
        in_pktinfo info{};
        std::memcpy(&info, CMSG_DATA(each), sizeof info);
        arrival.device = info.ipi_ifindex;
      } else if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_TIMESTAMPNS) {
        timespec time{};
        std::memcpy(&time, CMSG_DATA(each), sizeof time);
        arrival.time = std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
      }
    }
    all.push_back(arrival);
  }
}

Road::Outage Road::outage(RawSocket& cause, const Prebuilt& event) {
  arrivals();
  std::atomic<bool> due{false};
  std::atomic<std::int64_t> done{0};
  // In another thread: the sender must not block while the kernel takes the link down.
  std::thread actor([&] {
    pinTo(reactorCpu());
    const Urgent urgent;
    while (!due.load(std::memory_order_acquire)) ::usleep(50);
    cause.transact(event);
    done.store(now(), std::memory_order_release);
  });
  {
    // No Urgent here: a spinning sender would keep the kernel's own threads, and so the link's end, from a CPU.
    const std::int64_t begin = now();
    for (std::int64_t next = begin;; next += kInterval) {
      while (now() < next) {
      }
      if (next >= begin + kBefore) due.store(true, std::memory_order_release);
      const std::int64_t since = done.load(std::memory_order_acquire);
      if (since != 0 && next > since + kAfter) break;
      send();
    }
  }
  actor.join();
  Outage outage;
  const auto all = arrivals();
  const auto last = std::find_if(all.rbegin(), all.rend(), [&](const Arrival& each) { return each.device == first_; });
  const auto next = std::ranges::find_if(all, [&](const Arrival& each) { return each.device == second_; });
  outage.recovered = last != all.rend() && next != all.end();
  if (!outage.recovered) return outage;
  outage.gap = static_cast<double>(next->time - last->time) / 1000;
  outage.lost = static_cast<int>(next->sequence - last->sequence) - 1;
  return outage;
}

void Road::awaitFirstWan() {
  for (int i = 0; i < 2000; ++i) {
    send();
    ::usleep(1000);
    const auto all = arrivals();
    if (all.empty() || all.back().device != first_) continue;
    if (traffic_ == Traffic::lan) answer(all.back());
    return;
  }
  die("the first WAN did not come back");
}

/// So that the router knows the connection as established.
void Road::answer(const Arrival& arrival) {
  const auto& to = arrival.from;
  if (::sendto(receiver_.get(), "", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) need(false, "sendto");
  pollfd wait{.fd = sender_.get(), .events = POLLIN, .revents = 0};
  char byte = 0;
  need(::poll(&wait, 1, 2000) == 1 && ::recv(sender_.get(), &byte, 1, 0) == 1, "an answer through the router");
}

std::int64_t Road::sentBy(const std::string& prefix) const {
  std::int64_t sum = 0;
  router_.inside([&] {
    std::ifstream file("/proc/thread-self/net/dev");
    for (std::string line; std::getline(file, line);) {
      const auto colon = line.find(':');
      if (colon == std::string::npos || line.substr(0, colon).find(prefix) == std::string::npos) continue;
      std::istringstream fields(line.substr(colon + 1));
      std::int64_t value = 0;
      // Bytes, packets, errors, dropped ...; received first, then sent.
      for (int i = 0; fields >> value; ++i)
        if (i == 9 || i == 11) sum += value;
    }
  });
  return sum;
}

}  // namespace wgsteer::bench
