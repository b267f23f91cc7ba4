// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/dns_probe.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "peer_network.hpp"

namespace wgsteer::health::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint16_t kId = 0x1234;

Bytes answerTo(Bytes query) {
  query[2] |= 0x80;
  return query;
}

TEST(DnsAnswer, IsAsRfc1035HasIt) {
  EXPECT_EQ(dnsQuery(kId), (Bytes{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1}));
  const Bytes right = answerTo(dnsQuery(kId));
  EXPECT_TRUE(isDnsAnswer(right, kId));
  Bytes refused = right;
  refused[3] |= 5;
  EXPECT_TRUE(isDnsAnswer(refused, kId)) << "a refusal came all the way";
  Bytes longer = right;
  longer.resize(400);
  EXPECT_TRUE(isDnsAnswer(longer, kId));

  EXPECT_FALSE(isDnsAnswer(right, kId + 1));
  EXPECT_FALSE(isDnsAnswer(dnsQuery(kId), kId)) << "a query";
  for (std::size_t size = 0; size < right.size(); ++size) EXPECT_FALSE(isDnsAnswer({right.data(), size}, kId)) << size;
  for (const std::size_t at : {0U, 1U, 4U, 5U, 12U, 13U, 14U, 15U, 16U}) {
    Bytes wrong = right;
    wrong[at] ^= 1;
    EXPECT_FALSE(isDnsAnswer(wrong, kId)) << at;
  }
  Bytes update = right;
  update[2] |= 5 << 3;
  EXPECT_FALSE(isDnsAnswer(update, kId)) << "another operation";
}

class DnsRounds : public wgsteer::test::OwnNetwork, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    peer_.emplace();
    peer_->addWan("wan0", 10);
  }
  bool v4() const { return std::string_view{GetParam()}.find(':') == std::string_view::npos; }
  os::Fd server(const std::string& address, std::uint16_t port) const {
    return peer_->socketIn(v4() ? AF_INET : AF_INET6, SOCK_DGRAM, 0, address, port);
  }
  /// One round against a server that handles each query as the test specifies.
  std::string round(double timeout,
                    const std::function<void(int server, Bytes query, SocketAddress from)>& serve) const {
    const os::Fd listening = server(GetParam(), 53);
    WanConfig config{.name = "fiber",
                     .device = "wan0",
                     .trackIp = {{*Address::parse(GetParam()), 0}},
                     .trackMethod = TrackMethod::dns};
    config.timeout = fromSeconds(timeout);
    auto prober = Prober::create(config, Mark{0x10000000});
    EXPECT_TRUE(prober);
    const auto results =
        probeOnce(*prober, {{listening.get(), [&] {
                               Bytes query(512);
                               SocketAddress from;
                               const ssize_t size =
                                   ::recvfrom(listening.get(), query.data(), query.size(), 0, from.get(), &from.length);
                               if (size < 0) return;
                               query.resize(static_cast<std::size_t>(size));
                               serve(listening.get(), query, from);
                             }}});
    return results.empty() ? "none" : std::to_string(results[0].answered) + "/" + std::to_string(results[0].sent);
  }
  static void send(int by, const Bytes& answer, const SocketAddress& to) {
    EXPECT_EQ(::sendto(by, answer.data(), answer.size(), 0, to.get(), to.length), static_cast<ssize_t>(answer.size()));
  }
  std::optional<PeerNetwork> peer_;
};

TEST_P(DnsRounds, AnAnswerCounts) {
  EXPECT_EQ(round(5, [](int by, const Bytes& query, const SocketAddress& from) { send(by, answerTo(query), from); }),
            "1/1");
}

TEST_P(DnsRounds, WrongAnswersDoNot) {
  EXPECT_EQ(round(0.2,
                  [](int by, Bytes query, const SocketAddress& from) {
                    query[0] ^= 1;
                    send(by, answerTo(query), from);
                  }),
            "0/1");
  EXPECT_EQ(round(0.2, [](int by, Bytes query, const SocketAddress& from) { send(by, query, from); }), "0/1") << "echo";
  EXPECT_EQ(round(0.2, [](int, const Bytes&, const SocketAddress&) {}), "0/1") << "silence";
}

TEST_P(DnsRounds, TheRightAnswerFromElsewhereDoesNot) {
  const os::Fd otherPort = server(GetParam(), 54);
  const os::Fd otherAddress = server(v4() ? "192.0.2.11" : "2001:db8:2::11", 53);
  for (const os::Fd* by : {&otherPort, &otherAddress})
    EXPECT_EQ(
        round(0.2, [&](int, const Bytes& query, const SocketAddress& from) { send(by->get(), answerTo(query), from); }),
        "0/1");
}

TEST_P(DnsRounds, AnAnswerToAnEarlierRoundDoesNot) {
  Bytes first;
  EXPECT_EQ(round(0.2, [&](int, const Bytes& query, const SocketAddress&) { first = query; }), "0/1");
  ASSERT_FALSE(first.empty());
  EXPECT_EQ(round(0.2,
                  [&](int by, const Bytes&, const SocketAddress& from) {
                    // Even if it is sent to the current port.
                    send(by, answerTo(first), from);
                  }),
            "0/1");
}

TEST_P(DnsRounds, AnAnswerByAnotherDeviceDoesNot) {
  peer_->addWan("wan1", 20, 3);
  wgsteer::test::shell("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done");
  const std::string way = v4() ? "192.0.2.2/32 via 192.0.3.2" : "2001:db8:2::2/128 via 2001:db8:3::2";
  const std::string command = v4() ? "ip route " : "ip -6 route ";
  const auto right = [](int by, const Bytes& query, const SocketAddress& from) { send(by, answerTo(query), from); };
  peer_->shell(command + "add " + way);
  EXPECT_EQ(round(0.2, right), "0/1");
  peer_->shell(command + "delete " + way);
  EXPECT_EQ(round(5, right), "1/1");
}

TEST_P(DnsRounds, AWrongAnswerDoesNotHideTheRightOne) {
  EXPECT_EQ(round(5,
                  [](int by, Bytes query, const SocketAddress& from) {
                    const Bytes right = answerTo(query);
                    query[1] ^= 1;
                    send(by, answerTo(query), from);
                    send(by, {}, from);
                    send(by, right, from);
                    send(by, right, from);
                  }),
            "1/1");
}

TEST_P(DnsRounds, NobodyListeningIsNoAnswer) {
  WanConfig config{.name = "fiber",
                   .device = "wan0",
                   .trackIp = {{*Address::parse(GetParam()), 0}},
                   .trackMethod = TrackMethod::dns};
  config.timeout = std::chrono::seconds{60};
  auto prober = Prober::create(config, Mark{0x10000000});
  ASSERT_TRUE(prober);
  const auto results = probeOnce(*prober);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].answered, 0U) << "an ICMP error, which ends the wait";
}

INSTANTIATE_TEST_SUITE_P(Families, DnsRounds, ::testing::Values("192.0.2.1", "2001:db8:2::1"), [](const auto& each) {
  return std::string{each.param}.find(':') == std::string::npos ? "V4" : "V6";
});

}  // namespace
}  // namespace wgsteer::health::test
