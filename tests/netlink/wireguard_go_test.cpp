// SPDX-License-Identifier: GPL-2.0-or-later
// A real wireguard-go, configured by the real `wg`, in namespaces of its own: of the network, of mounts (its socket is
// in /var/run/wireguard, which is private to the test) and of processes (everything that is started ends with the
// test).
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netlink/wireguard.hpp"
#include "os/timer.hpp"
#include "support/netns.hpp"

namespace wgsteer::netlink {
namespace {

constexpr auto kTooLong = std::chrono::seconds{5};  // ten times our time limit, for a busy machine

using wgsteer::test::shell;

/// In the foreground, so that its process is known.
class WireGuardGo {
 public:
  explicit WireGuardGo(const char* device) {
    std::array<int, 2> pipe{-1, -1};
    EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    log_ = os::Fd{pipe[0]};
    const os::Fd writing{pipe[1]};
    process_ = ::fork();
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setenv("LOG_LEVEL", "verbose", 1);
      ::dup2(writing.get(), STDOUT_FILENO);
      ::dup2(writing.get(), STDERR_FILENO);
      ::execlp("wireguard-go", "wireguard-go", "-f", device, nullptr);
      ::_exit(127);
    }
    EXPECT_GT(process_, 0);
  }
  WireGuardGo(const WireGuardGo&) = delete;
  WireGuardGo& operator=(const WireGuardGo&) = delete;
  ~WireGuardGo() { kill(); }

  /// Reads its log until the text appears.
  bool awaitSaying(const char* text) {
    std::array<char, 512> part{};
    while (said_.find(text) == std::string::npos) {
      const ssize_t size = ::read(log_.get(), part.data(), part.size());
      if (size <= 0) {
        ADD_FAILURE() << "wireguard-go has ended: " << said_;
        return false;
      }
      said_.append(part.data(), static_cast<std::size_t>(size));
    }
    return true;
  }
  /// Stops it like a hanging process, and waits until it has stopped.
  void suspend() {
    EXPECT_EQ(::kill(process_, SIGSTOP), 0);
    int status = 0;
    EXPECT_EQ(::waitpid(process_, &status, WUNTRACED), process_);
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  void resume() { EXPECT_EQ(::kill(process_, SIGCONT), 0); }
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
  }

 private:
  pid_t process_ = -1;
  os::Fd log_;
  std::string said_;
};

class RealWireGuardGo : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(process_.awaitSaying("UAPI listener started"));
    // It chooses its port when the interface comes up.
    shell("ip link set wg0 up");
    ASSERT_TRUE(process_.awaitSaying("now Up"));
  }

  /// wg0 as seen by rtnetlink.
  std::map<IfIndex, Link> links() const {
    Link link;
    link.index = {static_cast<std::int32_t>(::if_nametoindex("wg0"))};
    link.name = "wg0";
    link.kind = "tun";
    return {{link.index, link}};
  }
  Tunnel observed(WireGuard& wireGuard) const {
    const auto begin = os::monotonicNow();
    const auto seen = wireGuard.observe(links());
    EXPECT_LT(os::monotonicNow() - begin, kTooLong);
    EXPECT_TRUE(seen) << seen.error().toString();
    EXPECT_TRUE(seen && seen->tunnels.contains("wg0"));
    return seen && seen->tunnels.contains("wg0") ? seen->tunnels.at("wg0") : Tunnel{};
  }

  WireGuardGo process_{"wg0"};
  WireGuard wireGuard_;
};

PublicKey publicKeyOf(const std::string& privateKeyFile) {
  std::string text = shell("wg pubkey <" + privateKeyFile);
  if (text.ends_with('\n')) text.pop_back();
  const auto key = PublicKey::parse(text);
  EXPECT_TRUE(key) << text;
  return key.value_or(PublicKey{});
}

TEST_F(RealWireGuardGo, IsSeenAsWgHasConfiguredIt) {
  shell("umask 077; wg genkey >/run/a; wg genkey >/run/b; wg genkey >/run/own; wg genpsk >/run/psk");
  shell(
      "wg set wg0 private-key /run/own listen-port 51820 fwmark 0xca6c "
      "peer $(wg pubkey </run/a) preshared-key /run/psk endpoint 203.0.113.55:51821 persistent-keepalive 25 "
      "allowed-ips 10.0.0.0/8,::/0 "
      "peer $(wg pubkey </run/b) endpoint [2001:db8::1]:7 allowed-ips 192.0.2.1/32");
  const Tunnel tunnel = observed(wireGuard_);
  EXPECT_EQ(tunnel.name, "wg0");
  EXPECT_EQ(tunnel.backend, TunnelBackend::userspace);
  EXPECT_EQ(tunnel.listenPort, 51820);
  EXPECT_EQ(tunnel.fwmark, Mark{0xca6c});
  std::vector<Peer> expected{{.publicKey = publicKeyOf("/run/a"),
                              .endpoint = Endpoint::parse("203.0.113.55:51821"),
                              .allowedIps = {*Prefix::parse("10.0.0.0/8"), *Prefix::parse("::/0")},
                              .persistentKeepalive = 25},
                             {.publicKey = publicKeyOf("/run/b"),
                              .endpoint = Endpoint::parse("[2001:db8::1]:7"),
                              .allowedIps = {*Prefix::parse("192.0.2.1")}}};
  std::ranges::sort(expected, {}, &Peer::publicKey);
  EXPECT_EQ(tunnel.peers, expected);
}

TEST_F(RealWireGuardGo, TakesAMarkThatWgShows) {
  const Tunnel before = observed(wireGuard_);
  EXPECT_EQ(before.fwmark, Mark{0});
  ASSERT_TRUE(wireGuard_.setFwmark(before, Mark{0xf0000000}));
  EXPECT_EQ(shell("wg show wg0 fwmark"), "0xf0000000\n");
  EXPECT_EQ(observed(wireGuard_).fwmark, Mark{0xf0000000});
  ASSERT_TRUE(wireGuard_.setFwmark(before, Mark{0xf0000000}));
  ASSERT_TRUE(wireGuard_.setFwmark(before, Mark{0}));
  EXPECT_EQ(shell("wg show wg0 fwmark"), "off\n");
}

TEST_F(RealWireGuardGo, ThatHangsIsWhatItWasUntilItGoesOn) {
  const Tunnel before = observed(wireGuard_);
  process_.suspend();
  EXPECT_EQ(observed(wireGuard_), before);
  const auto marked = wireGuard_.setFwmark(before, Mark{1});
  ASSERT_FALSE(marked);
  EXPECT_EQ(marked.error().kind, ErrorKind::busy);
  process_.resume();
  EXPECT_EQ(observed(wireGuard_).listenPort, before.listenPort);
  // It makes up for requests of the meantime as soon as it can.
  EXPECT_TRUE(
      shell("for i in $(seq 100); do wg show wg0 fwmark | grep -qx 0x1 && echo done && break; sleep 0.02; done") ==
      "done\n");
}

TEST_F(RealWireGuardGo, ClearsCachedSourcesWithoutWaitingEvenWhileItHangs) {
  const Tunnel before = observed(wireGuard_);
  ASSERT_TRUE(wireGuard_.setFwmark(before, Mark{0xf0000000}));
  process_.suspend();
  const auto begin = os::monotonicNow();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(wireGuard_.clearSources(before, Mark{0xf0000000}, Numbers{}));
  EXPECT_LT(os::monotonicNow() - begin, 20 * WireGuardUapi::kPatience);
  process_.resume();
  EXPECT_EQ(shell("wg show wg0 fwmark"), "0xf0000000\n");
}

TEST_F(RealWireGuardGo, ThatWasKilledIsNoTunnelThoughItsSocketStays) {
  observed(wireGuard_);
  process_.kill();
  EXPECT_EQ(::access("/var/run/wireguard/wg0.sock", F_OK), 0);
  const auto seen = wireGuard_.observe(links());
  ASSERT_TRUE(seen) << seen.error().toString();
  EXPECT_TRUE(seen->tunnels.empty());
  EXPECT_TRUE(seen->troubles.empty());
}

/// Why this cannot run here; empty if it can, and then the namespaces are made.
std::string obstacle() {
  if (::geteuid() != 0) return "needs root, for namespaces";
  if (std::system("command -v wireguard-go >/dev/null && command -v wg >/dev/null") != 0)
    return "needs wireguard-go and wireguard-tools";
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "needs /dev/net/tun";
  if (::unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID) != 0)
    return std::string{"needs namespaces: "} + std::strerror(errno);
  // The test gets a new /run; nothing of it is visible outside.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", "/run", "tmpfs", 0, nullptr) != 0 || ::mkdir("/run/wireguard", 0700) != 0)
    return std::string{"needs a mount of its own on /run: "} + std::strerror(errno);
  return {};
}

}  // namespace
}  // namespace wgsteer::netlink

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  if (const std::string why = wgsteer::netlink::obstacle(); !why.empty()) {
    std::printf("skipped: %s\n", why.c_str());
    const char* ci = std::getenv("CI");
    return ci != nullptr && std::string_view{ci} == "true" ? 1 : 77;
  }
  // The first process of the new namespace; when it ends, so do all its descendants.
  const pid_t tests = ::fork();
  if (tests == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Process ids in /proc are those of this namespace from here on; LeakSanitizer looks itself up there.
    if (::mount("none", "/proc", "proc", 0, nullptr) != 0) ::_exit(1);
    std::exit(RUN_ALL_TESTS());
  }
  int status = 0;
  const bool ended = tests > 0 && ::waitpid(tests, &status, 0) == tests;
  // Not through exit(): /proc is not ours any more.
  ::_exit(ended && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}
