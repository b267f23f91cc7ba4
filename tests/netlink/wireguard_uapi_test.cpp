// SPDX-License-Identifier: GPL-2.0-or-later
// The answers of user-space implementations, and how they misbehave.
#include "netlink/wireguard_uapi.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include "netlink/secret_scan.hpp"
#include "netlink/uapi_server.hpp"
#include "os/timer.hpp"

namespace wgsteer::netlink {
namespace {

using test::DeafServer;
using test::Secret;
using test::SocketFolder;
using test::TalkingServer;

/// 64 digits.
std::string key(char digit) { return std::string(2 * PublicKey::kSize, digit); }
PublicKey publicKey(char digit) { return *PublicKey::parseHex(key(digit)); }

Tunnel parsed(const std::string& text) {
  const auto tunnel = parseUapi(text, "wg0");
  EXPECT_TRUE(tunnel) << tunnel.error().what;
  return tunnel.value_or(Tunnel{});
}

TEST(UapiText, OfWireGuardGo) {
  const Tunnel tunnel =
      parsed("private_key=" + key('e') + "\nlisten_port=51820\nfwmark=268435456\npublic_key=" + key('b') +
             "\npreshared_key=" + key('0') + "\nprotocol_version=1\nendpoint=203.0.113.55:51821\n" +
             "last_handshake_time_sec=1700000000\nlast_handshake_time_nsec=5\ntx_bytes=148\n" +
             "rx_bytes=18446744073709551615\npersistent_keepalive_interval=25\n" +
             "allowed_ip=10.1.2.3/8\nallowed_ip=::/0\npublic_key=" + key('a') +
             "\nendpoint=[2001:db8::1]:1\nallowed_ip=192.0.2.1/32\nerrno=0\n\n");
  EXPECT_EQ(tunnel.name, "wg0");
  EXPECT_EQ(tunnel.backend, TunnelBackend::userspace);
  EXPECT_EQ(tunnel.fwmark, Mark{0x10000000});
  EXPECT_EQ(tunnel.listenPort, 51820);
  const std::vector<Peer> peers{{.publicKey = publicKey('a'),
                                 .endpoint = Endpoint::parse("[2001:db8::1]:1"),
                                 .allowedIps = {*Prefix::parse("192.0.2.1")}},
                                {.publicKey = publicKey('b'),
                                 .endpoint = Endpoint::parse("203.0.113.55:51821"),
                                 .allowedIps = {*Prefix::parse("10.0.0.0/8"), *Prefix::parse("::/0")},
                                 .persistentKeepalive = 25,
                                 .lastHandshake = fromEpoch(1700000000),
                                 .receivedBytes = 0xffffffffffffffff,
                                 .sentBytes = 148}};
  EXPECT_EQ(tunnel.peers, peers);
}

TEST(UapiText, OfBoringtunHasItsOwnPublicKeyFirst) {
  const Tunnel tunnel =
      parsed("own_public_key=" + key('c') + "\nlisten_port=7\npublic_key=" + key('a') + "\nerrno=0\n\n");
  EXPECT_EQ(tunnel.listenPort, 7);
  ASSERT_EQ(tunnel.peers.size(), 1U);
  EXPECT_EQ(tunnel.peers[0].publicKey, publicKey('a'));
}

TEST(UapiText, WithoutPeersOrAnything) {
  const Tunnel tunnel = parsed("errno=0\n\n");
  EXPECT_EQ(tunnel.fwmark, Mark{0});
  EXPECT_EQ(tunnel.listenPort, 0);
  EXPECT_TRUE(tunnel.peers.empty());
}

TEST(UapiText, UnknownAndMeaninglessLinesArePassedOver) {
  const Tunnel tunnel = parsed("jc=4\nno equals sign\n=\n\nlisten_port=65536\nfwmark=-1\npublic_key=" + key('a') +
                               "\nendpoint=nowhere\nallowed_ip=10.0.0.0/33\nrx_bytes=1x\n"
                               "persistent_keepalive_interval=off\nallowed_ip=10.0.0.0/8\nerrno=0\n\n");
  EXPECT_EQ(tunnel.listenPort, 0);
  EXPECT_EQ(tunnel.fwmark, Mark{0});
  const std::vector<Peer> peers{
      {.publicKey = publicKey('a'), .endpoint = {}, .allowedIps = {*Prefix::parse("10.0.0.0/8")}}};
  EXPECT_EQ(tunnel.peers, peers);
}

struct Broken {
  const char* name;
  std::string text;
  ErrorKind kind;
};
void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

class BrokenText : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenText, IsAnErrorThatRepeatsNothingOfIt) {
  const auto tunnel = parseUapi(GetParam().text, "wg0");
  ASSERT_FALSE(tunnel);
  EXPECT_EQ(tunnel.error().kind, GetParam().kind);
  EXPECT_TRUE(tunnel.error().what.starts_with("wg wg0: ")) << tunnel.error().what;
  EXPECT_EQ(tunnel.error().what.find("eeee"), std::string::npos) << tunnel.error().what;
}

INSTANTIATE_TEST_SUITE_P(
    Uapi, BrokenText,
    ::testing::Values(Broken{"Empty", "", ErrorKind::malformed}, Broken{"NewLines", "\n\n", ErrorKind::malformed},
                      Broken{"NoErrno", "listen_port=1\n\n", ErrorKind::malformed},
                      Broken{"CutInErrno", "listen_port=1\nerrno=0", ErrorKind::malformed},
                      Broken{"ShortKey", "public_key=eeee\nerrno=0\n\n", ErrorKind::malformed},
                      Broken{"KeyIsNoHex", "public_key=" + key('g') + "\nerrno=0\n\n", ErrorKind::malformed},
                      Broken{"Refused", "private_key=" + key('e') + "\nerrno=5\n\n", ErrorKind::refused},
                      Broken{"RefusedInWords", "errno=eeee\n\n", ErrorKind::refused}),
    [](const auto& each) { return std::string{each.param.name}; });

TEST(UapiText, EveryPrefixIsAnErrorOrTheWhole) {
  const std::string whole = "private_key=" + key('e') + "\nfwmark=1\npublic_key=" + key('a') + "\nerrno=0\n\n";
  for (std::size_t length = 0; length + 1 < whole.size(); ++length) {
    const std::vector<char> exact(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_FALSE(parseUapi({exact.data(), exact.size()}, "wg0")) << length;
  }
}

constexpr auto kTooLong = std::chrono::seconds{5};  // ten times our time limit, for a busy machine

class UapiSocket : public ::testing::Test {
 protected:
  Result<Tunnel> read() { return uapi_.read({{"wg0", {2}}}).at("wg0"); }
  ErrorKind readError() {
    const auto begin = os::monotonicNow();
    const auto tunnel = read();
    EXPECT_LT(os::monotonicNow() - begin, kTooLong);
    EXPECT_FALSE(tunnel);
    return tunnel ? ErrorKind::config : tunnel.error().kind;
  }
  SocketFolder folder_;
  WireGuardUapi uapi_{{folder_.path()}};
};

TEST_F(UapiSocket, ReadsWhatIsAnsweredToGet) {
  const TalkingServer server{folder_, "wg0", [](const std::string& request) {
                               return request == "get=1\n\n" ? "listen_port=7\nerrno=0\n\n" : "errno=22\n\n";
                             }};
  const auto tunnel = read();
  ASSERT_TRUE(tunnel) << tunnel.error().what;
  EXPECT_EQ(tunnel->listenPort, 7);
  EXPECT_EQ(tunnel->name, "wg0");
}

TEST_F(UapiSocket, TakesAnAnswerOfThousandsOfPeers) {
  const TalkingServer server{folder_, "wg0", [](const std::string&) {
                               std::string text;
                               for (int i = 0; i < 20000; ++i) {
                                 std::string digits = std::to_string(i);
                                 text += "public_key=" + std::string(64 - digits.size(), '0') + digits + "\n";
                               }
                               return text + "errno=0\n\n";
                             }};
  const auto tunnel = read();
  ASSERT_TRUE(tunnel) << tunnel.error().what;
  EXPECT_EQ(tunnel->peers.size(), 20000U);
}

TEST_F(UapiSocket, NoSocketIsNoTunnel) { EXPECT_EQ(readError(), ErrorKind::notThere); }

TEST_F(UapiSocket, ASocketThatNobodyListensToIsNoTunnel) {
  {
    const DeafServer gone{folder_, "wg0"};
  }
  EXPECT_EQ(readError(), ErrorKind::notThere);
}

TEST_F(UapiSocket, APlainFileIsNoTunnel) {
  std::ofstream{folder_.path() + "/wg0.sock"} << "errno=0\n\n";
  EXPECT_EQ(readError(), ErrorKind::notThere);
}

TEST_F(UapiSocket, ADatagramSocketIsNoTunnel) {
  const os::Fd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder_.path() + "/wg0.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(readError(), ErrorKind::notThere);
}

TEST_F(UapiSocket, AProcessThatHangsIsGivenUp) {
  const DeafServer hung{folder_, "wg0"};
  EXPECT_EQ(readError(), ErrorKind::busy);
}

TEST_F(UapiSocket, AProcessThatHasHungForLongIsGivenUp) {
  const DeafServer hung{folder_, "wg0", 0};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder_.path() + "/wg0.sock").copy(address.sun_path, sizeof address.sun_path - 1);
  std::vector<os::Fd> waiting;
  for (bool full = false; !full;) {
    waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    full = ::connect(waiting.back().get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0;
    ASSERT_LT(waiting.size(), 100U);
  }
  EXPECT_EQ(readError(), ErrorKind::busy);
}

TEST_F(UapiSocket, AProcessThatHangsUpIsEnding) {
  const TalkingServer server{folder_, "wg0", [](const std::string&) { return ""; }};
  EXPECT_EQ(readError(), ErrorKind::busy);
}

TEST_F(UapiSocket, HalfAnAnswerIsNone) {
  const TalkingServer server{folder_, "wg0", [](const std::string&) { return "listen_port=1\nfwmark=1"; }};
  EXPECT_EQ(readError(), ErrorKind::busy);
}

TEST_F(UapiSocket, AnAnswerWithoutEndIsGivenUp) {
  const TalkingServer server{folder_, "wg0", [](const std::string&) { return std::string(64 << 20, 'x'); }};
  const ErrorKind kind = readError();
  // Whichever limit comes first: that of size, or on a slow machine that of time.
  EXPECT_TRUE(kind == ErrorKind::malformed || kind == ErrorKind::busy);
}

TEST_F(UapiSocket, SetsTheMarkInDecimal) {
  const TalkingServer server{folder_, "wg0", [](const std::string& request) {
                               return request == "set=1\nfwmark=4026531840\n\n" ? "errno=0\n\n" : "errno=22\n\n";
                             }};
  EXPECT_TRUE(uapi_.setFwmark("wg0", Mark{0xf0000000}));
  const auto refused = uapi_.setFwmark("wg0", Mark{1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::refused);
  EXPECT_TRUE(refused.error().what.starts_with("wg set wg0 fwmark 0x1: ")) << refused.error().what;
}

TEST_F(UapiSocket, AMarkForAProcessThatHangsOrIsGoneIsAnError) {
  const auto gone = uapi_.setFwmark("wg0", Mark{1});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::notThere);
  const DeafServer hung{folder_, "wg0"};
  const auto late = uapi_.setFwmark("wg0", Mark{1});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::busy);
}

TEST_F(UapiSocket, ARefusalSaysWhatWasRefusedAndWhy) {
  const TalkingServer server{folder_, "wg0", [](const std::string&) { return "errno=-1\n\n"; }};
  const auto told = read();
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().what, "wg wg0: its process returned errno -1 (Operation not permitted)");
  const auto done = uapi_.setFwmark("wg0", Mark{1});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().what, "wg set wg0 fwmark 0x1: its process returned errno -1 (Operation not permitted)");
  EXPECT_EQ(uapi_.refusals().at("wg0"), done.error().what);
}

TEST_F(UapiSocket, IsLookedForInEachFolder) {
  const SocketFolder other;
  WireGuardUapi uapi{{folder_.path(), other.path()}};
  {
    // A socket that has outlived its process does not hide one that answers in the other folder.
    const DeafServer gone{folder_, "wg0"};
  }
  const TalkingServer amnezia{other, "wg0", [](const std::string& request) {
                                return request == "get=1\n\n" ? "listen_port=7\nerrno=0\n\n" : "errno=0\n\n";
                              }};
  const auto answers = uapi.read({{"wg0", {2}}});
  ASSERT_TRUE(answers.at("wg0")) << answers.at("wg0").error().what;
  EXPECT_EQ(answers.at("wg0")->listenPort, 7);
  EXPECT_TRUE(uapi.setFwmark("wg0", Mark{1}));
}

TEST_F(UapiSocket, AnotherUsersSocketIsRefusedWithItsOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
  const DeafServer server{folder_, "wg0"};
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod((folder_.path() + "/wg0.sock").c_str(), 0700), 0);
  ASSERT_EQ(::chown((folder_.path() + "/wg0.sock").c_str(), 1234, 1234), 0);
  ASSERT_EQ(::seteuid(4711), 0);
  const auto told = read();
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error().kind, ErrorKind::refused);
  EXPECT_NE(told.error().what.find("user 1234"), std::string::npos) << told.error().what;
}

/// A process that hangs and resumes on request.
class Hanging : public UapiSocket {
 protected:
  static constexpr int kMany = 6;
  static std::map<IfName, IfIndex> devices(int count) {
    std::map<IfName, IfIndex> all;
    for (int i = 0; i < count; ++i) all.emplace("hang" + std::to_string(i), IfIndex{i + 2});
    return all;
  }
  static bool isCalled(const DeafServer& server) {
    pollfd wait{.fd = server.descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&wait, 1, 0) == 1;
  }
  /// Accepts one waiting conversation and answers it.
  static std::string serveOne(const DeafServer& server, const std::string& answer) {
    if (!isCalled(server)) return "nobody calls";
    const os::Fd connection{::accept4(server.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    std::array<char, 512> request{};
    const ssize_t size = ::recv(connection.get(), request.data(), request.size(), 0);
    EXPECT_EQ(::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(answer.size()));
    return size > 0 ? std::string(request.data(), static_cast<std::size_t>(size)) : std::string{};
  }
  template <class Action>
  static std::chrono::nanoseconds timeOf(Action&& action) {
    const auto begin = os::monotonicNow();
    action();
    return os::monotonicNow() - begin;
  }
};

TEST_F(Hanging, AllAreWaitedForTogetherAndOnlyOnce) {
  std::vector<std::unique_ptr<DeafServer>> servers;
  for (const auto& [device, link] : devices(kMany)) servers.push_back(std::make_unique<DeafServer>(folder_, device));
  EXPECT_LT(timeOf([&] { uapi_.read(devices(kMany)); }), 2 * WireGuardUapi::kFirstPatience);
  // From here on they cost nothing: ten times, so that a busy machine is not mistaken for a cost.
  EXPECT_LT(timeOf([&] {
              for (int i = 0; i < 10; ++i) uapi_.read(devices(kMany));
            }),
            10 * WireGuardUapi::kPatience);
  EXPECT_EQ(uapi_.pending().size(), kMany);
}

TEST_F(Hanging, DoesNotHoldUpWhatIsSet) {
  const DeafServer server{folder_, "wg0"};
  EXPECT_EQ(readError(), ErrorKind::busy);
  const auto took = timeOf([&] {
    for (std::uint32_t i = 1; i <= 10; ++i) {
      const auto marked = uapi_.setFwmark("wg0", Mark{i});
      ASSERT_FALSE(marked);
      EXPECT_EQ(marked.error().kind, ErrorKind::busy);
      EXPECT_TRUE(uapi_.clearSources("wg0", Mark{i}, std::nullopt, 7));
    }
  });
  EXPECT_LT(took, 10 * WireGuardUapi::kPatience);
}

TEST_F(Hanging, IsReadAgainAsSoonAsItGoesOn) {
  const DeafServer server{folder_, "wg0"};
  EXPECT_EQ(readError(), ErrorKind::busy);
  EXPECT_EQ(readError(), ErrorKind::busy);
  ASSERT_EQ(uapi_.pending().size(), 1U);
  EXPECT_EQ(serveOne(server, "listen_port=7\nerrno=0\n\n"), "get=1\n\n");
  const auto told = read();
  ASSERT_TRUE(told) << told.error().what;
  EXPECT_EQ(told->listenPort, 7);
  EXPECT_TRUE(uapi_.pending().empty());
  // There was one request for all the looks that it missed.
  EXPECT_FALSE(isCalled(server));
}

TEST_F(Hanging, ClearsCachedSourcesOnceWhenItResumesWithTheLastMark) {
  const DeafServer server{folder_, "wg0"};
  EXPECT_EQ(readError(), ErrorKind::busy);
  EXPECT_EQ(serveOne(server, "errno=0\n\n"), "get=1\n\n");
  EXPECT_TRUE(read());
  EXPECT_TRUE(uapi_.clearSources("wg0", Mark{0x10}, Mark{0x11}, 7));
  EXPECT_TRUE(uapi_.clearSources("wg0", Mark{0x20}, Mark{0x21}, 7));
  EXPECT_TRUE(uapi_.clearSources("wg0", Mark{0x30}, Mark{0x31}, 7));
  EXPECT_EQ(serveOne(server, "errno=0\n\n"), "set=1\nfwmark=17\nfwmark=16\n\n");
  EXPECT_EQ(readError(), ErrorKind::busy);
  EXPECT_EQ(serveOne(server, "errno=0\n\n"), "set=1\nfwmark=49\nfwmark=48\n\n");
  EXPECT_EQ(serveOne(server, "errno=0\n\n"), "get=1\n\n");
}

TEST_F(Hanging, ADueClearingDoesNotBringAnOldMarkBack) {
  const DeafServer server{folder_, "wg0"};
  EXPECT_TRUE(uapi_.clearSources("wg0", Mark{0x10}, Mark{0x11}, 7));
  EXPECT_TRUE(uapi_.clearSources("wg0", Mark{0x10}, Mark{0x11}, 7));
  EXPECT_EQ(serveOne(server, "errno=0\n\n"), "set=1\nfwmark=17\nfwmark=16\n\n");
  EXPECT_FALSE(uapi_.setFwmark("wg0", Mark{0x40}));
  EXPECT_EQ(serveOne(server, "errno=0\n\n"), "set=1\nfwmark=64\n\n");
  EXPECT_EQ(readError(), ErrorKind::busy);
  EXPECT_EQ(serveOne(server, "errno=0\n\n"), "get=1\n\n");
}

TEST_F(Hanging, ARefusedClearingIsKnownAfterTheNextLook) {
  const DeafServer server{folder_, "wg0"};
  EXPECT_TRUE(uapi_.clearSources("wg0", Mark{1}, std::nullopt, 7));
  EXPECT_EQ(serveOne(server, "errno=1\n\n"), "set=1\nlisten_port=7\n\n");
  EXPECT_EQ(readError(), ErrorKind::busy);
  EXPECT_EQ(uapi_.refusals().at("wg0"),
            "wg set wg0 (cached sources): its process returned errno 1 (Operation not permitted)");
}

TEST_F(Hanging, AnotherProcessInItsPlaceIsAskedAtOnce) {
  {
    const DeafServer server{folder_, "wg0"};
    EXPECT_EQ(readError(), ErrorKind::busy);
    std::filesystem::rename(folder_.path() + "/wg0.sock", folder_.path() + "/old");
    const TalkingServer another{folder_, "wg0", [](const std::string&) { return "listen_port=9\nerrno=0\n\n"; }};
    const auto told = read();
    ASSERT_TRUE(told) << told.error().what;
    EXPECT_EQ(told->listenPort, 9);
  }
}

TEST_F(UapiSocket, NoKeyStaysInMemory) {
  // Large enough for the buffer to grow: each of its former places must be wiped, too. No other test has these digits.
  const TalkingServer server{folder_, "wg0", [](const std::string&) {
                               std::string text = "private_key=" + key('d') + "\n";
                               for (int i = 0; i < 3000; ++i)
                                 text += "public_key=" + key('a') + "\npreshared_key=" + key('f') + "\n";
                               return text + "errno=0\n\n";
                             }};
  const Secret privateKey = Secret::repeated('d', 2 * PublicKey::kSize);
  const Secret presharedKey = Secret::repeated('f', 2 * PublicKey::kSize);
  const auto tunnel = read();
  ASSERT_TRUE(tunnel) << tunnel.error().what;
  ASSERT_EQ(tunnel->peers.size(), 3000U);
  EXPECT_FALSE(privateKey.isInMemory());
  EXPECT_FALSE(presharedKey.isInMemory());
  // The search does find what is there.
  std::string kept = key('d');
  EXPECT_TRUE(privateKey.isInMemory());
  explicit_bzero(kept.data(), kept.size());
  EXPECT_FALSE(privateKey.isInMemory());
}

TEST_F(UapiSocket, NoKeyStaysInMemoryAfterHalfAnAnswer) {
  const TalkingServer server{folder_, "wg0", [](const std::string&) { return "private_key=" + key('d') + "\n"; }};
  EXPECT_EQ(readError(), ErrorKind::busy);
  EXPECT_FALSE(Secret::repeated('d', 2 * PublicKey::kSize).isInMemory());
}

}  // namespace
}  // namespace wgsteer::netlink
