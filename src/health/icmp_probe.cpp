// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/icmp_probe.hpp"

#include <algorithm>
#include <cerrno>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#include "os/random.hpp"

namespace wgsteer::health {

namespace {

/// Type, code, checksum, identifier, sequence.
constexpr std::size_t kHeader = 8;
/// linux/icmp.h, which clashes with netinet/ip_icmp.h.
constexpr int kIcmpFilter = 1;

void put16(std::uint8_t* to, std::uint16_t value) {
  to[0] = static_cast<std::uint8_t>(value >> 8);
  to[1] = static_cast<std::uint8_t>(value & 0xff);
}

std::uint16_t get16(const std::uint8_t* from) { return static_cast<std::uint16_t>(from[0] << 8 | from[1]); }

/// RFC 1071.
std::uint16_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// Lets only echo replies wake us up; anything else that arrives on raw sockets is for other programs.
void hearOnlyReplies(int descriptor, Family family) {
  if (family == Family::v4) {
    const std::uint32_t filter = ~(1U << ICMP_ECHOREPLY);
    setsockopt(descriptor, SOL_RAW, kIcmpFilter, &filter, sizeof filter);
    return;
  }
  icmp6_filter filter{};
  ICMP6_FILTER_SETBLOCKALL(&filter);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
  setsockopt(descriptor, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
}

}  // namespace

std::optional<EchoReply> readEchoReply(Family family, std::span<const std::uint8_t> datagram,
                                       std::optional<std::uint16_t> rawId) {
  if (rawId && family == Family::v4) {
    const std::size_t header = datagram.empty() ? 0 : (datagram[0] & 0x0fU) * 4U;
    if (datagram.size() < header) return std::nullopt;
    datagram = datagram.subspan(header);
  }
  const std::uint8_t wanted = family == Family::v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
  if (datagram.size() < kHeader || datagram[0] != wanted || datagram[1] != 0) return std::nullopt;
  if (rawId && get16(&datagram[4]) != *rawId) return std::nullopt;
  return EchoReply{.sequence = get16(&datagram[6]), .payload = datagram.subspan(kHeader)};
}

IcmpProbe::IcmpProbe(const ProbeOptions& options) : options_(options) {
  std::array<std::uint8_t, 2> id{};
  os::fillRandom(id);
  id_ = get16(id.data());
}

Status IcmpProbe::open(Family family, std::size_t question, const os::Poller& poller) {
  const int protocol = family == Family::v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
  Socket made;
  made.raw = family == Family::v6;
  auto fd = openProbeSocket(family, made.raw ? SOCK_RAW : SOCK_DGRAM, protocol, options_);
  if (!fd && (fd.error().code == EACCES || fd.error().code == EPERM || fd.error().code == EPROTONOSUPPORT)) {
    made.raw = !made.raw;
    fd = openProbeSocket(family, made.raw ? SOCK_RAW : SOCK_DGRAM, protocol, options_);
  }
  if (!fd) return std::unexpected(std::move(fd.error()));
  made.fd = std::move(*fd);
  if (made.raw) hearOnlyReplies(made.fd.get(), family);
  if (const Status watched = poller.watch(made.fd.get(), EPOLLIN, question); !watched) return watched;
  of(family) = std::move(made);
  return {};
}

std::vector<std::uint8_t> IcmpProbe::request(Family family, std::size_t question, const Nonce& nonce) const {
  std::vector<std::uint8_t> message(kHeader + std::max(options_.size, kMinProbeSize));
  message[0] = family == Family::v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
  put16(&message[4], id_);
  put16(&message[6], static_cast<std::uint16_t>(question));
  std::ranges::copy(nonce, message.begin() + kHeader);
  // For IPv6 the kernel computes it, because the addresses are part of it (RFC 3542 section 3.1).
  if (family == Family::v4) put16(&message[2], checksum(message));
  return message;
}

Status IcmpProbe::ask(std::size_t question, const Endpoint& target, const os::Poller& poller) {
  asked_.resize(std::max(asked_.size(), question + 1));
  Asked& asked = asked_[question];
  asked.target = target.address;
  os::fillRandom(asked.nonce);
  const Family family = target.address.family();
  if (!of(family).fd)
    if (const Status opened = open(family, question, poller); !opened) return opened;
  const std::vector<std::uint8_t> message = request(family, question, asked.nonce);
  const SocketAddress to = toSocketAddress({target.address, 0}, options_.device);
  if (sendto(of(family).fd.get(), message.data(), message.size(), MSG_NOSIGNAL, to.get(), to.length) < 0)
    return notSent(target);
  return {};
}

void IcmpProbe::collect(std::size_t question, std::vector<Reply>& replies) {
  if (question >= asked_.size()) return;
  const Family family = asked_[question].target.family();
  const Socket& socket = of(family);
  // One byte more than our reply with the longest IPv4 header: longer datagrams are truncated and so not ours.
  std::vector<std::uint8_t> buffer(60 + kHeader + std::max(options_.size, kMinProbeSize) + 1);
  for (;;) {
    SocketAddress from;
    const ssize_t size = recvfrom(socket.fd.get(), buffer.data(), buffer.size(), 0, from.get(), &from.length);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return;
    const auto reply = readEchoReply(family, {buffer.data(), static_cast<std::size_t>(size)},
                                     socket.raw ? std::optional{id_} : std::nullopt);
    if (reply && answers(*reply, from)) replies.push_back({reply->sequence, true});
  }
}

bool IcmpProbe::answers(const EchoReply& reply, const SocketAddress& from) const {
  if (reply.sequence >= asked_.size()) return false;
  const Asked& asked = asked_[reply.sequence];
  return reply.payload.size() == std::max(options_.size, kMinProbeSize) && isFrom(from, asked.target) &&
         std::ranges::equal(reply.payload.first(asked.nonce.size()), asked.nonce);
}

}  // namespace wgsteer::health
