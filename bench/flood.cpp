// SPDX-License-Identifier: GPL-2.0-or-later
// Foreign routes by the million: CPU time of the daemon, against a reader without a filter.
#include <algorithm>
#include <array>
#include <fstream>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <sstream>
#include <string>
#include <sys/socket.h>

#include "benchmarks.hpp"

namespace wgsteer::bench {

namespace {

/// Inspects every announcement, like a program that wants only default routes.
void runReader(const Gate& ready) {
  RawSocket events(NETLINK_ROUTE, {RTNLGRP_IPV4_ROUTE});
  ready.open();
  alignas(16) static std::array<char, 32768> buffer;
  volatile std::uint32_t defaults = 0;
  while (true) {
    // Blocking: it does nothing else.
    const ssize_t size = ::recv(events.descriptor(), buffer.data(), buffer.size(), 0);
    int left = static_cast<int>(size);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); size > 0 && mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
      if (header->rtm_dst_len == 0 && attributeOf(message, sizeof(rtmsg), RTA_OIF) != 0) defaults = defaults + 1;
    }
  }
}

/// Announcements that did not fit into a netlink socket of the process's namespace: the column "Drops".
std::int64_t drops(const Process& process) {
  std::ifstream file("/proc/" + std::to_string(process.id()) + "/net/netlink");
  std::string line;
  std::getline(file, line);
  std::int64_t sum = 0;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 9; ++i) fields >> field;
    sum += std::strtoll(field.c_str(), nullptr, 10);
  }
  return sum;
}

/// Adds and deletes routes, 256 to a datagram.
class Feeder {
 public:
  Feeder(const Netns& netns, int device) : device_(device) {
    netns.inside([&] { socket_ = std::make_unique<RawSocket>(); });
  }

  void run(int routes) {
    for (int done = 0; done < routes;) {
      // No more than this in the kernel at once: a million would take half a gigabyte.
      const int some = std::min(routes - done, kAtOnce);
      for (const std::uint16_t type : {RTM_NEWROUTE, RTM_DELROUTE})
        for (int i = 0; i < some; i += kPerDatagram) send(type, i, std::min(kPerDatagram, some - i));
      done += some;
    }
  }

 private:
  static constexpr int kAtOnce = 100'000;
  static constexpr int kPerDatagram = 256;

  void send(std::uint16_t type, int first, int count) {
    Prebuilt datagram;
    for (int i = first; i < first + count; ++i) {
      const std::string destination =
          "20." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) + "." + std::to_string(i & 255);
      const std::string gateway = wanGateway(1);
      Prebuilt one = routeMessage(type, type == RTM_NEWROUTE ? NLM_F_CREATE : 0,
                                  {.destination = destination.c_str(),
                                   .length = 32,
                                   .gateway = gateway.c_str(),
                                   .device = device_,
                                   .protocol = RTPROT_BGP});
      // Only the last one requests an answer.
      if (i + 1 < first + count)
        reinterpret_cast<nlmsghdr*>(one.data())->nlmsg_flags &= static_cast<std::uint16_t>(~NLM_F_ACK);
      datagram.insert(datagram.end(), one.begin(), one.end());
    }
    socket_->transact(datagram);
  }

  int device_;
  std::unique_ptr<RawSocket> socket_;
};

struct Arm {
  Netns netns;
  Process process;
  std::unique_ptr<Feeder> feeder;

  double cpuOfFlood(int routes) {
    const std::int64_t before = process.cpuTime();
    feeder->run(routes);
    pause(200'000, 200'000);  // until what is queued has been read
    return static_cast<double>(process.cpuTime() - before) / 1e6;
  }
};

}  // namespace

std::vector<Row> flood(const Options& options) {
  std::array<Arm, 3> arms;
  for (Arm& arm : arms) addWans(arm.netns, 2);
  arms[2].process = startDaemon(arms[2].netns, options, 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const Gate ready;
    arms[i].process = Process(arms[i].netns, [&] { runReader(ready); });
    ready.await();
  }
  for (Arm& arm : arms) arm.feeder = std::make_unique<Feeder>(arm.netns, deviceIndex(arm.netns, "wan1"));

  std::array<Series, 3> all;
  all.fill(Series(static_cast<std::size_t>(options.repetitions())));
  const int turns = options.count(5, 1);
  // So that a million routes are added and deleted per namespace and repetition.
  const int routes = options.count(1'000'000, 20'000) / turns;
  for (std::size_t repetition = 0; repetition < all.front().size(); ++repetition)
    for (int i = 0; i < turns; ++i)
      for (const std::size_t who : shuffled(arms.size())) all[who][repetition].push_back(arms[who].cpuOfFlood(routes));

  Row cpu =
      compare("CPU of a flood of 1 000 000 routes, per " + std::to_string(routes), "ms", all[2], all[0], all[1], 0.03);
  return {cpu, atMost("announcements lost in the flood", "", static_cast<double>(drops(arms[2].process)), 0)};
}

}  // namespace wgsteer::bench
