// SPDX-License-Identifier: GPL-2.0-or-later
// For tests on the real kernel: a private network namespace, created and destroyed with the process, and devices in it.
// /proc/sys/net follows the namespace of the process that opens it, so nothing has to be mounted.
#pragma once

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/wait.h>

#include "wgsteer/core/ids.hpp"

namespace wgsteer::test {

/// Exit status of a test that cannot run here (SKIP_RETURN_CODE of ctest).
inline constexpr int kSkipped = 77;

/// Moves this process into a new, empty network namespace with loopback up. Returns why it failed; empty on success.
inline std::string enterOwnNetwork() {
  if (::unshare(CLONE_NEWNET) != 0)
    return std::string{"no network namespace of our own (needs root): "} + std::strerror(errno);
  if (std::system("ip link set lo up") != 0) return "ip (iproute2) does not work here";
  return {};
}

/// Output of a shell command, including stderr; a failure of the command fails the test.
inline std::string shell(const std::string& command) {
  FILE* pipe = ::popen(("{ " + command + "\n} 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << command << ": " << std::strerror(errno);
    return {};
  }
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), size);
  const int status = ::pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command << "\n" << output;
  return output;
}

/// Zero, and a failure of the test, when there is no such device.
inline IfIndex indexOf(const IfName& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  EXPECT_NE(index, 0U) << name;
  return IfIndex{static_cast<std::int32_t>(index)};
}

/// Until the kernel's linkwatch has seen that both ends of a veth pair are up, which it does in its own time on a busy
/// machine, a device drops what it is to send (dev_activate(), 6.18).
inline std::string carrierOf(const IfName& device) {
  return "timeout 20 sh -c 'until ip link show dev " + device + " | grep -q \"state UP\"; do :; done'";
}

/// Two connected devices, both up, so both with carrier. Without what the kernel would do by itself a little later:
/// IPv6 link-local addresses, and a second of duplicate address detection for all others.
inline void addVethPair(const IfName& name, const IfName& peer) {
  shell("ip link add " + name + " type veth peer name " + peer);
  for (const IfName& end : {name, peer})
    shell("echo 0 > /proc/sys/net/ipv6/conf/" + end + "/accept_dad; ip link set " + end + " addrgenmode none up");
}

/// A WAN: device `name` with carrier (its other end is `name`p), the given addresses, and default routes via the given
/// gateways, for example "192.0.2.2/24" and "192.0.2.1".
inline void addWan(const IfName& name, const std::string& address, const std::string& gateway, int metric) {
  if (::if_nametoindex(name.c_str()) == 0) addVethPair(name, name + "p");
  shell("ip address add " + address + " dev " + name + "; ip route add default via " + gateway + " dev " + name +
        " metric " + std::to_string(metric));
}

/// Every test gets its own namespace, so that none sees leftovers of another.
class OwnNetwork : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(enterOwnNetwork(), ""); }
};

/// For main(): runs all tests in a namespace, or says why it cannot, which is a failure where everything has to run
/// (CI=true).
inline int runInOwnNetwork(int argc, char** argv, void (*prepare)() = nullptr) {
  ::testing::InitGoogleTest(&argc, argv);
  if (const std::string why = enterOwnNetwork(); !why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    const char* ci = std::getenv("CI");
    return ci != nullptr && std::string_view{ci} == "true" ? 1 : kSkipped;
  }
  if (prepare != nullptr) prepare();
  return RUN_ALL_TESTS();
}

}  // namespace wgsteer::test
