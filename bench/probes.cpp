// SPDX-License-Identifier: GPL-2.0-or-later
// What probing costs: CPU time of the daemon while it probes four targets over each of eight WANs every second.
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

#include "benchmarks.hpp"

namespace wgsteer::bench {

namespace {

constexpr int kWans = 8;
constexpr int kTargets = 4;

std::string target(int wan, int number) { return wanGateway(wan, number + 1); }

/// Each WAN is a veth pair whose other end has the probed addresses.
void addAnsweringWans(const Netns& router, const Netns& others) {
  for (int i = 0; i < kWans; ++i) {
    const std::string name = wanName(i);
    const std::string fd = std::to_string(others.descriptor());
    router.shell("ip link add " + name + " type veth peer name peer" + std::to_string(i) + " netns /proc/" +
                 std::to_string(::getpid()) + "/fd/" + fd);
    std::string script = "ip link set peer" + std::to_string(i) + " up\n";
    for (int number = 0; number < kTargets; ++number)
      script += "ip address add " + target(i, number) + "/24 dev peer" + std::to_string(i) + "\n";
    others.shell(script);
    router.shell("ip link set " + name + " up; ip address add " + wanAddress(i) + "/24 dev " + name +
                 "; ip route add default via " + wanGateway(i) + " dev " + name + " metric " +
                 std::to_string(wanMetric(i)));
  }
}

/// Number of echo requests that these hosts have answered so far.
std::int64_t answered(const Netns& others) {
  std::int64_t count = 0;
  others.inside([&] {
    std::ifstream file("/proc/thread-self/net/snmp");
    std::string names, values;
    while (std::getline(file, names) && std::getline(file, values)) {
      if (!names.starts_with("Icmp:")) continue;
      std::istringstream name(names), value(values);
      for (std::string key, number; name >> key && value >> number;)
        if (key == "OutEchoReps") count = std::stoll(number);
    }
  });
  return count;
}

/// The configuration that startDaemon() writes, plus probes.
void addProbes(std::ofstream& file, int wan) {
  file << "[[wan]]\nname = \"" << wanName(wan) << "\"\ndevice = \"" << wanName(wan) << "\"\ntrack_ip = [";
  for (int number = 0; number < kTargets; ++number) file << (number == 0 ? "\"" : ", \"") << target(wan, number) << '"';
  file << "]\ninterval = 1\ntimeout = 1\n\n";
}

}  // namespace

std::vector<Row> probes(const Options& options) {
  const Netns router, others;
  addAnsweringWans(router, others);
  const std::string path = "/run/probes.toml";
  std::ofstream file(path);
  for (int i = 0; i < kWans; ++i) addProbes(file, i);
  need(static_cast<bool>(file.flush()), path);
  const Process daemon = startDaemon(router, options, path);
  ::sleep(2);  // the cost of starting is not included
  Samples shares;
  for (int repetition = 0; repetition < options.repetitions(); ++repetition) {
    const std::int64_t before = daemon.cpuTime();
    const std::int64_t begin = now();
    const std::int64_t answersBefore = answered(others);
    const int seconds = options.count(10, 3);
    ::sleep(static_cast<unsigned>(seconds));
    if (answered(others) - answersBefore < (seconds - 1) * kWans * kTargets) die("not all probes were answered");
    shares.push_back(100 * static_cast<double>(daemon.cpuTime() - before) / static_cast<double>(now() - begin));
  }
  Row row = atMost("probes: 8 WANs, 4 targets each, each second", "% of a CPU", median(shares), 0.5);
  row.note = "including the kernel's work for them at both ends of the WAN";
  return {row};
}

}  // namespace wgsteer::bench
