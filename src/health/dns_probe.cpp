// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/dns_probe.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <netinet/in.h>

#include "os/random.hpp"

namespace wgsteer::health {

namespace {

constexpr std::size_t kHeader = 12;
/// The root's name servers: ".", NS, IN.
constexpr auto kQuestion = std::to_array<std::uint8_t>({0, 0, 2, 0, 1});

}  // namespace

std::vector<std::uint8_t> dnsQuery(std::uint16_t id) {
  constexpr std::uint8_t kRecursionDesired = 0x01;
  std::vector<std::uint8_t> query(kHeader + kQuestion.size());
  query[0] = static_cast<std::uint8_t>(id >> 8);
  query[1] = static_cast<std::uint8_t>(id & 0xff);
  query[2] = kRecursionDesired;
  query[5] = 1;  // one question
  std::ranges::copy(kQuestion, query.begin() + kHeader);
  return query;
}

bool isDnsAnswer(std::span<const std::uint8_t> message, std::uint16_t id) {
  constexpr std::uint8_t kResponse = 0x80;
  constexpr std::uint8_t kOpcode = 0x78;
  if (message.size() < kHeader + kQuestion.size()) return false;
  const bool ours = message[0] == id >> 8 && message[1] == (id & 0xff);
  const bool answer = (message[2] & kResponse) != 0 && (message[2] & kOpcode) == 0;
  const bool oneQuestion = message[4] == 0 && message[5] == 1;
  return ours && answer && oneQuestion && std::ranges::equal(message.subspan(kHeader, kQuestion.size()), kQuestion);
}

Status DnsProbe::ask(std::size_t question, const Endpoint& target, const os::Poller& poller) {
  asked_.resize(std::max(asked_.size(), question + 1));
  Asked& asked = asked_[question];
  std::array<std::uint8_t, 2> id{};
  os::fillRandom(id);
  asked.id = static_cast<std::uint16_t>(id[0] << 8 | id[1]);
  auto fd = openProbeSocket(target.address.family(), SOCK_DGRAM, IPPROTO_UDP, options_);
  if (!fd) return std::unexpected(std::move(fd.error()));
  const SocketAddress to = toSocketAddress(target, options_.device);
  const std::vector<std::uint8_t> query = dnsQuery(asked.id);
  // Connected: the kernel drops packets from elsewhere.
  if (connect(fd->get(), to.get(), to.length) != 0 || send(fd->get(), query.data(), query.size(), MSG_NOSIGNAL) < 0)
    return notSent(target);
  asked.fd = std::move(*fd);
  return poller.watch(asked.fd.get(), EPOLLIN, question);
}

void DnsProbe::collect(std::size_t question, std::vector<Reply>& replies) {
  if (question >= asked_.size()) return;
  Asked& asked = asked_[question];
  std::array<std::uint8_t, 512> buffer{};
  while (asked.fd) {
    const ssize_t size = recv(asked.fd.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    // An ICMP error: anyone along the path can send one, so it is not an answer, but waiting is pointless as well.
    const bool answered = size >= 0 && isDnsAnswer({buffer.data(), static_cast<std::size_t>(size)}, asked.id);
    if (size >= 0 && !answered) continue;
    asked.fd.reset();
    replies.push_back({question, answered});
  }
}

}  // namespace wgsteer::health
