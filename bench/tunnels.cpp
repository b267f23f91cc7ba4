// SPDX-License-Identifier: GPL-2.0-or-later
// The user-space tunnels of wans.hpp: https://www.wireguard.com/xplatform/, as much of it as the daemon uses.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include "wans.hpp"

namespace wgsteer::bench {

namespace {

struct Device {
  os::Fd tun;
  os::Fd socket;
  std::string fwmark = "0";
  std::string peers;
};

os::Fd makeTun(const std::string& name) {
  os::Fd tun{::open("/dev/net/tun", O_RDWR | O_CLOEXEC)};
  need(static_cast<bool>(tun), "/dev/net/tun");
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  need(::ioctl(tun.get(), TUNSETIFF, &request) == 0, "TUNSETIFF " + name);
  // Set up from here, without ip(8): there are a hundred of them.
  const os::Fd any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  request.ifr_flags = IFF_UP;
  need(::ioctl(any.get(), SIOCSIFFLAGS, &request) == 0, "SIOCSIFFLAGS " + name);
  return tun;
}

os::Fd listenAt(const std::string& name) {
  ::mkdir("/var/run/wireguard", 0700);
  const std::string path = "/var/run/wireguard/" + name + ".sock";
  ::unlink(path.c_str());
  os::Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  need(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, path);
  need(::listen(socket.get(), 16) == 0, path);
  return socket;
}

std::string peersText(int first, int count) {
  std::string text;
  for (int i = first; i < first + count; ++i) {
    char key[65];
    std::snprintf(key, sizeof key, "%064x", static_cast<unsigned>(i) + 1);  // see peerKey()
    text += std::string{"public_key="} + key + "\nendpoint=" + endpointAddress(i) + ":" +
            std::to_string(kEndpointPort) + "\npersistent_keepalive_interval=25\nallowed_ip=0.0.0.0/0\n";
  }
  return text;
}

/// What follows "KEY=" in a request or an answer, up to the end of its line; empty if it is not there.
std::string valueOf(const std::string& text, const std::string& key) {
  const auto at = text.rfind(key + "=");
  if (at == std::string::npos) return {};
  const auto begin = at + key.size() + 1;
  return text.substr(begin, text.find('\n', begin) - begin);
}

void moveEndpoint(Device& device, const std::string& request) {
  const std::string endpoint = valueOf(request, "endpoint");
  const auto peer = device.peers.find("public_key=" + valueOf(request, "public_key"));
  if (endpoint.empty() || peer == std::string::npos) return;
  const auto at = device.peers.find("endpoint=", peer) + 9;
  device.peers.replace(at, device.peers.find('\n', at) - at, endpoint);
}

void answer(Device& device) {
  const os::Fd connection{::accept4(device.socket.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!connection) return;
  std::string request;
  char part[4096];
  while (!request.ends_with("\n\n")) {
    const ssize_t size = ::read(connection.get(), part, sizeof part);
    if (size <= 0) return;
    request.append(part, static_cast<std::size_t>(size));
  }
  std::string text;
  if (request.starts_with("set=1")) {
    if (const std::string fwmark = valueOf(request, "fwmark"); !fwmark.empty()) device.fwmark = fwmark;
    moveEndpoint(device, request);
  } else {
    text = "listen_port=" + std::to_string(kEndpointPort) + "\nfwmark=" + device.fwmark + "\n" + device.peers;
  }
  text += "errno=0\n\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t size = ::send(connection.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (size <= 0) return;
    sent += static_cast<std::size_t>(size);
  }
}

void serve(const Tunnels& tunnels, const Gate& started) {
  std::vector<Device> devices;
  std::vector<pollfd> waits;
  for (int i = 0; i < tunnels.count; ++i) {
    const std::string name = tunnels.prefix + std::to_string(i);
    Device device;
    device.socket = listenAt(name);
    device.tun = makeTun(name);
    device.peers = peersText(i * tunnels.peers, tunnels.peers);
    waits.push_back({.fd = device.socket.get(), .events = POLLIN, .revents = 0});
    devices.push_back(std::move(device));
  }
  started.open();
  while (::poll(waits.data(), waits.size(), -1) >= 0 || errno == EINTR)
    for (std::size_t i = 0; i < waits.size(); ++i)
      if ((waits[i].revents & POLLIN) != 0) answer(devices[i]);
}

}  // namespace

Process startTunnels(const Netns& netns, const Tunnels& tunnels) {
  const Gate started;
  Process process(netns, [&] {
    pinTo(driverCpu());  // away from the daemon, whose time is what counts
    serve(tunnels, started);
  });
  started.await();
  return process;
}

}  // namespace wgsteer::bench
