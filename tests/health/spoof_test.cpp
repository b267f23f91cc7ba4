// SPDX-License-Identifier: GPL-2.0-or-later
// Answers that do not match the question: from another host, for another program, too late or duplicated.
#include <arpa/inet.h>
#include <functional>
#include <gtest/gtest.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#include "peer_network.hpp"

namespace wgsteer::health::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr const char* kTarget4 = "192.0.2.1";
constexpr const char* kTarget6 = "2001:db8:2::1";

/// One echo request as it arrived there, and the socket for the answer.
struct Request {
  Bytes message;  ///< from the ICMP header on
  SocketAddress from;
};

std::uint16_t checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// Answers echo requests as the test specifies; the kernel there does not answer.
class Responder {
 public:
  Responder(const PeerNetwork& peer, Family family)
      : family_(family),
        requests_(peer.socketIn(domain(), SOCK_RAW, protocol())),
        right_(peer.socketIn(domain(), SOCK_RAW, protocol(), family == Family::v4 ? kTarget4 : kTarget6)),
        wrong_(peer.socketIn(domain(), SOCK_RAW, protocol(), family == Family::v4 ? "192.0.2.11" : "2001:db8:2::11")) {
    peer.shell("sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1");
  }
  Service answering(std::function<void(const Request&)> answer) const {
    return {requests_.get(), [this, answer = std::move(answer)] {
              while (const auto request = take()) answer(*request);
            }};
  }
  /// A correct answer is the request with another type; `change` corrupts it.
  void send(const Request& request, const std::function<void(Bytes&)>& change = {}, bool wrongSource = false) const {
    Bytes answer = request.message;
    answer[0] = family_ == Family::v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    if (change) change(answer);
    answer[2] = answer[3] = 0;
    if (family_ == Family::v4) {
      const std::uint16_t sum = checksum(answer);
      answer[2] = static_cast<std::uint8_t>(sum >> 8);
      answer[3] = static_cast<std::uint8_t>(sum & 0xff);
    }
    EXPECT_EQ(::sendto((wrongSource ? wrong_ : right_).get(), answer.data(), answer.size(), 0, request.from.get(),
                       request.from.length),
              static_cast<ssize_t>(answer.size()))
        << std::strerror(errno);
  }

 private:
  int domain() const { return family_ == Family::v4 ? AF_INET : AF_INET6; }
  int protocol() const { return family_ == Family::v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6}; }
  std::optional<Request> take() const {
    for (;;) {
      Request request;
      Bytes buffer(2048);
      const ssize_t size =
          ::recvfrom(requests_.get(), buffer.data(), buffer.size(), 0, request.from.get(), &request.from.length);
      if (size < 0) return std::nullopt;
      const std::size_t header = family_ == Family::v4 ? (buffer[0] & 0x0f) * 4U : 0;
      request.message.assign(buffer.begin() + static_cast<std::ptrdiff_t>(header), buffer.begin() + size);
      if (request.message[0] == (family_ == Family::v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST)) return request;
    }
  }

  Family family_;
  os::Fd requests_;
  os::Fd right_;
  os::Fd wrong_;
};

constexpr std::size_t kIdAt = 4;
constexpr std::size_t kSequenceAt = 6;
constexpr std::size_t kNonceAt = 8;

class Spoof : public wgsteer::test::OwnNetwork, public ::testing::WithParamInterface<std::tuple<Family, bool>> {
 protected:
  void SetUp() override {
    OwnNetwork::SetUp();
    wgsteer::test::shell(std::string{"echo "} + (std::get<1>(GetParam()) ? "0 2147483647" : "1 0") +
                         " > /proc/sys/net/ipv4/ping_group_range");
    peer_.emplace();
    peer_->addWan("wan0", 10);
    responder_.emplace(*peer_, family());
  }
  Family family() const { return std::get<0>(GetParam()); }
  Prober prober(double timeout, std::uint32_t count = 1) const {
    WanConfig config{.name = "fiber",
                     .device = "wan0",
                     .trackIp = {{*Address::parse(family() == Family::v4 ? kTarget4 : kTarget6), 0}},
                     .trackMethod = TrackMethod::icmp};
    config.timeout = fromSeconds(timeout);
    config.count = count;
    auto made = Prober::create(config, Mark{0x10000000});
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  /// An answered round ends at once, so it may have all the time that a busy machine needs.
  std::uint32_t answeredWith(const std::function<void(const Request&)>& answer, double timeout = 5) const {
    Prober probes = prober(timeout);
    const auto results = probeOnce(probes, {responder_->answering(answer)});
    return results.empty() ? 99 : results[0].answered;
  }

  std::optional<PeerNetwork> peer_;
  std::optional<Responder> responder_;
};

TEST_P(Spoof, TheRightAnswerCountsAndOnlyIt) {
  EXPECT_EQ(answeredWith([&](const Request& request) { responder_->send(request); }), 1U);
  const auto flip = [](std::size_t at) { return [at](Bytes& answer) { answer[at] ^= 1; }; };
  struct Wrong {
    const char* what;
    std::function<void(Bytes&)> change;
  };
  for (const Wrong& wrong :
       {Wrong{"nonce", flip(kNonceAt)}, Wrong{"end of the nonce", flip(kNonceAt + kMinProbeSize - 1)},
        Wrong{"identifier", flip(kIdAt + 1)}, Wrong{"sequence", flip(kSequenceAt + 1)}, Wrong{"code", flip(1)},
        Wrong{"shorter", [](Bytes& answer) { answer.pop_back(); }},
        Wrong{"longer", [](Bytes& answer) { answer.push_back(0); }},
        Wrong{"header alone", [](Bytes& answer) { answer.resize(kNonceAt); }},
        Wrong{"another type",
              [&](Bytes& answer) { answer[0] = family() == Family::v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST; }}})
    EXPECT_EQ(answeredWith([&](const Request& request) { responder_->send(request, wrong.change); }, 0.1), 0U)
        << wrong.what;
  EXPECT_EQ(answeredWith([&](const Request& request) { responder_->send(request, {}, true); }, 0.1), 0U) << "source";
}

TEST_P(Spoof, TheRightAnswerCountsAmongWrongOnes) {
  EXPECT_EQ(answeredWith([&](const Request& request) {
              responder_->send(request, [](Bytes& answer) { answer[kNonceAt] ^= 1; });
              responder_->send(request, {}, true);
              responder_->send(request);
            }),
            1U);
}

TEST_P(Spoof, DuplicatesCountOnce) {
  Prober probes = prober(1, 2);
  int asked = 0;
  const auto results = probeOnce(probes, {responder_->answering([&](const Request& request) {
                                   if (asked++ > 0) return;
                                   responder_->send(request);
                                   responder_->send(request);
                                 })});
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].sent, 2U);
  EXPECT_EQ(results[0].answered, 1U);
}

TEST_P(Spoof, AnAnswerToAnEarlierRoundIsNone) {
  Prober probes = prober(1);
  std::optional<Request> first;
  probeOnce(probes, {responder_->answering([&](const Request& request) { first = request; })});
  ASSERT_TRUE(first);
  const auto results = probeOnce(probes, {responder_->answering([&](const Request&) { responder_->send(*first); })});
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].answered, 0U);
}

TEST_P(Spoof, AnAnswerThatComesTooLateIsNone) {
  // Two questions, half a time-out apart: the first is answered while the second is still pending.
  Prober probes = prober(0.2, 2);
  std::vector<Request> requests;
  const auto results = probeOnce(probes, {responder_->answering([&](const Request& request) {
                                   requests.push_back(request);
                                   if (requests.size() < 2) return;
                                   const Instant late = os::monotonicNow() + std::chrono::milliseconds{110};
                                   while (os::monotonicNow() < late) continue;
                                   responder_->send(requests[0]);
                                 })});
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(requests.size(), 2U);
  EXPECT_EQ(results[0].answered, 0U);
}

TEST_P(Spoof, AnAnswerByAnotherDeviceIsNone) {
  peer_->addWan("wan1", 20, 3);
  // The answer arrives through the other pair; here neither device checks the reverse path.
  wgsteer::test::shell("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done");
  const std::string here = family() == Family::v4 ? "192.0.2.2" : "2001:db8:2::2";
  const std::string command = family() == Family::v4 ? "ip" : "ip -6";
  const std::string hop = family() == Family::v4 ? "192.0.3.2" : "2001:db8:3::2";
  peer_->shell(command + " route add " + here + (family() == Family::v4 ? "/32" : "/128") + " via " + hop);
  EXPECT_EQ(answeredWith([&](const Request& request) { responder_->send(request); }, 0.2), 0U);
  peer_->shell(command + " route delete " + here + (family() == Family::v4 ? "/32" : "/128") + " via " + hop);
  EXPECT_EQ(answeredWith([&](const Request& request) { responder_->send(request); }), 1U);
}

INSTANTIATE_TEST_SUITE_P(Families, Spoof,
                         ::testing::Combine(::testing::Values(Family::v4, Family::v6), ::testing::Bool()),
                         [](const auto& each) {
                           return std::string{std::get<0>(each.param) == Family::v4 ? "V4" : "V6"} +
                                  (std::get<1>(each.param) ? "Ping" : "Raw");
                         });

}  // namespace
}  // namespace wgsteer::health::test
