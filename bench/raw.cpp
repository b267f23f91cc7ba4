// SPDX-License-Identifier: GPL-2.0-or-later
#include "raw.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <linux/fib_rules.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "process.hpp"
#include "stats.hpp"

namespace wgsteer::bench {

namespace {

class Builder {
 public:
  Builder(std::uint16_t type, std::uint16_t flags) : bytes_(512), header_(mnl_nlmsg_put_header(bytes_.data())) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header_->nlmsg_seq = 1;
  }
  template <class T>
  T& extra() {
    return *static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
  }
  void u32(std::uint16_t type, std::uint32_t value) { mnl_attr_put_u32(header_, type, value); }
  void u8(std::uint16_t type, std::uint8_t value) { mnl_attr_put_u8(header_, type, value); }
  void address(std::uint16_t type, const char* text) {
    in_addr parsed{};
    need(::inet_pton(AF_INET, text, &parsed) == 1, text);
    mnl_attr_put(header_, type, sizeof parsed, &parsed);
  }
  Prebuilt finish() {
    bytes_.resize(header_->nlmsg_len);
    return std::move(bytes_);
  }

 private:
  Prebuilt bytes_;
  nlmsghdr* header_;
};

}  // namespace

Prebuilt routeMessage(std::uint16_t type, std::uint16_t flags, const RawRoute& route) {
  Builder builder(type, flags);
  auto& header = builder.extra<rtmsg>();
  header.rtm_family = AF_INET;
  header.rtm_dst_len = route.length;
  constexpr std::uint8_t kCompat = RT_TABLE_COMPAT;
  header.rtm_table = route.table < 256 ? static_cast<std::uint8_t>(route.table) : kCompat;
  header.rtm_protocol = route.protocol;
  header.rtm_scope = route.gateway == nullptr ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  if (type == RTM_DELROUTE) header.rtm_scope = RT_SCOPE_NOWHERE;  // any
  header.rtm_type = RTN_UNICAST;
  if (route.onlink) header.rtm_flags = RTNH_F_ONLINK;
  if (route.destination != nullptr) builder.address(RTA_DST, route.destination);
  builder.u32(RTA_TABLE, route.table);
  if (route.gateway != nullptr) builder.address(RTA_GATEWAY, route.gateway);
  builder.u32(RTA_OIF, static_cast<std::uint32_t>(route.device));
  builder.u32(RTA_PRIORITY, route.metric);
  return builder.finish();
}

Prebuilt addressMessage(std::uint16_t type, const char* address, std::uint8_t length, int device) {
  Builder builder(type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0);
  auto& header = builder.extra<ifaddrmsg>();
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = length;
  header.ifa_index = static_cast<std::uint32_t>(device);
  builder.address(IFA_LOCAL, address);
  builder.address(IFA_ADDRESS, address);
  return builder.finish();
}

Prebuilt ruleMessage(std::uint16_t type, std::uint32_t priority, std::uint32_t mark, std::uint32_t mask,
                     std::uint32_t table, std::uint8_t protocol) {
  Builder builder(type, type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0);
  auto& header = builder.extra<fib_rule_hdr>();
  header.family = AF_INET;
  header.action = FR_ACT_TO_TBL;
  builder.u32(FRA_PRIORITY, priority);
  builder.u32(FRA_FWMARK, mark);
  builder.u32(FRA_FWMASK, mask);
  builder.u32(FRA_TABLE, table);
  builder.u8(FRA_PROTOCOL, protocol);
  return builder.finish();
}

Prebuilt forgetConnectionsMessage() {
  Builder builder(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0);
  builder.extra<nfgenmsg>();
  return builder.finish();
}

RawSocket::RawSocket(int protocol, std::initializer_list<int> groups)
    : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)) {
  need(static_cast<bool>(socket_), "netlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  need(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind netlink");
  const int size = 8 << 20;
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  for (const int group : groups)
    need(::setsockopt(socket_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0, "netlink group");
}

void RawSocket::send(std::span<const char> message) const {
  need(::send(socket_.get(), message.data(), message.size(), 0) == static_cast<ssize_t>(message.size()),
       "netlink send");
}

int RawSocket::acknowledged() {
  const ssize_t size = ::recv(socket_.get(), buffer_.data(), buffer_.size(), 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.data());
  if (size < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof(int)) || header->nlmsg_type != NLMSG_ERROR)
    die("no netlink acknowledgement");
  int error = 0;
  std::memcpy(&error, buffer_.data() + NLMSG_HDRLEN, sizeof error);
  return -error;
}

void RawSocket::transact(std::span<const char> message) {
  send(message);
  errno = acknowledged();
  need(errno == 0, "netlink request");
}

ssize_t RawSocket::poll(std::span<char> buffer) const {
  return ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
}

void RawSocket::drain() {
  while (poll(buffer_) >= 0) {
  }
}

bool awaitMessage(RawSocket& socket, const Match& match, const std::function<void()>& meanwhile) {
  constexpr std::int64_t kSometimes = 20'000'000;
  alignas(16) std::array<char, 32768> buffer;
  const std::int64_t deadline = now() + 10'000'000'000;
  std::int64_t next = now() + kSometimes;
  do {
    const ssize_t size = socket.poll(buffer);
    if (size <= 0) {
      if (meanwhile && now() >= next) {
        meanwhile();
        next = now() + kSometimes;
      }
      continue;
    }
    int left = static_cast<int>(size);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left))
      if (match(message)) return true;
  } while (now() < deadline);
  return false;
}

std::uint32_t attributeOf(const nlmsghdr* message, std::size_t headerSize, std::uint16_t type) {
  const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, headerSize));
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    if (mnl_attr_get_type(attribute) == type && mnl_attr_get_payload_len(attribute) >= 4)
      return mnl_attr_get_u32(attribute);
    attribute = mnl_attr_next(attribute);
  }
  return 0;
}

}  // namespace wgsteer::bench
