// SPDX-License-Identifier: GPL-2.0-or-later
#include "wans.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fstream>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

namespace wgsteer::bench {

std::string wanName(int number) { return "wan" + std::to_string(number); }
std::string wanAddress(int number) { return "10." + std::to_string(100 + number) + ".0.10"; }
std::string wanGateway(int number, int which) {
  return "10." + std::to_string(100 + number) + ".0." + std::to_string(which);
}
std::uint32_t wanMetric(int number) { return 100 + static_cast<std::uint32_t>(number); }

void addWans(const Netns& netns, int count) {
  std::string script;
  for (int i = 0; i < count; ++i) {
    const std::string name = wanName(i);
    // A device that drops every packet (needs no extra kernel module). No link-local address: what the kernel does
    // about one a second later would be measured as well.
    script += "ip link add " + name + " type ifb; ip link set " + name + " addrgenmode none up\n";
    script += "ip address add " + wanAddress(i) + "/24 dev " + name + "\n";
    script +=
        "ip route add default via " + wanGateway(i) + " dev " + name + " metric " + std::to_string(wanMetric(i)) + "\n";
  }
  netns.shell(script);
}

int deviceIndex(const Netns& netns, const std::string& name) {
  int index = 0;
  netns.inside([&] { index = static_cast<int>(::if_nametoindex(name.c_str())); });
  need(index > 0, name);
  return index;
}

void addPolicyByHand(const Netns& netns, int wans) {
  const std::string table = " table " + std::to_string(kPolicyTable) + " proto 87 metric ";
  std::string script = "ip route add unreachable default" + table + "4294967295\n";
  for (int i = 0; i < wans; ++i)
    script += "ip route add default via " + wanGateway(i) + " dev " + wanName(i) + table + std::to_string(i + 1) +
              " onlink\n";
  script +=
      "ip rule add fwmark 0xf0000000/0xf0000000 lookup " + std::to_string(kPolicyTable) + " priority 70 proto 87\n";
  netns.shell(script);
}

void addFirewall(const Netns& netns) {
  netns.shell(
      "nft 'table inet firewall { chain srcnat { type nat hook postrouting priority srcnat; oifname { wan0, wan1 } "
      "masquerade; }; }'");
}

std::string writeConfiguration(int wans, const std::string& more, const std::string& name) {
  const std::string path = "/run/" + name + std::to_string(wans) + ".toml";
  std::ofstream file(path);
  for (int i = 0; i < wans; ++i)
    file << "[[wan]]\nname = \"" << wanName(i) << "\"\ndevice = \"" << wanName(i) << "\"\n\n";
  file << more;
  need(static_cast<bool>(file.flush()), path);
  return path;
}

Process startDaemon(const Netns& netns, const Options& options, int wans, bool once, const std::string& more) {
  return startDaemon(netns, options, writeConfiguration(wans, more), once);
}

Process startDaemon(const Netns& netns, const Options& options, const std::string& path, bool once) {
  const ReadySocket ready;
  Process daemon(netns, [&] {
    const int log = ::open("/run/daemon.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    need(log >= 0 && ::dup2(log, STDERR_FILENO) >= 0 && ::dup2(log, STDOUT_FILENO) >= 0, "/run/daemon.log");
    ::setenv("NOTIFY_SOCKET", ready.path().c_str(), 1);
    std::vector<std::string> command{options.daemon, "run", "-c", path};
    if (once) command.emplace_back("--once");
    exec(command);
  });
  if (once)
    daemon.await();
  else
    ready.await(60);
  return daemon;
}

std::string endpointAddress(int number) {
  in_addr address{};
  address.s_addr = ::htonl(0x64400001U + static_cast<std::uint32_t>(number));
  char text[INET_ADDRSTRLEN];
  ::inet_ntop(AF_INET, &address, text, sizeof text);
  return text;
}

}  // namespace wgsteer::bench
