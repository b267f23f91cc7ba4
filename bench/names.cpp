// SPDX-License-Identifier: GPL-2.0-or-later
#include "names.hpp"

#include <arpa/inet.h>
#include <cstdio>
#include <fstream>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <string_view>
#include <sys/mount.h>
#include <sys/socket.h>

#include "wgsteer/core/ids.hpp"

#include "benchmarks.hpp"

namespace wgsteer::bench {

namespace {

constexpr std::size_t kHeader = 12;
constexpr char kTypeA = 1;
/// Our domain in wire format. Names that other programs of this machine have configured are none of the benchmark's.
constexpr std::string_view kDomain{"\7example\4test\0", 14};
/// ns. The resolver's first attempt lasts two seconds, its second twice that.
constexpr std::int64_t kFresh = 1'000'000'000;
/// ns. A name without an answer is queried again after seconds, with increasing delays.
constexpr std::int64_t kPatience = 60'000'000'000;

/// The offset after the name of the first question, which is not compressed.
std::size_t behindName(const std::string& message) {
  std::size_t at = kHeader;
  while (at < message.size() && message[at] != '\0') at += static_cast<unsigned char>(message[at]) + 1U;
  return at + 1;
}

std::string peerKey(int number) {
  char key[65];
  std::snprintf(key, sizeof key, "%064x", static_cast<unsigned>(number) + 1);
  return PublicKey::parseHex(key)->toString();
}

std::string sections(const Tunnels& tunnels, int names) {
  std::string text;
  for (int i = 0; i < names; ++i)
    text += "[[peer]]\ntunnel = \"" + tunnels.prefix + "0\"\npublic_key = \"" + peerKey(i) + "\"\nendpoint = \"n" +
            std::to_string(i) + ".example.test:" + std::to_string(kEndpointPort) + "\"\n";
  return text;
}

/// In this process's own mount namespace.
void askLoopback() {
  const char* path = "/run/resolv.conf";
  std::ofstream{path} << "nameserver 127.0.0.1\n";
  need(::mount(path, "/etc/resolv.conf", nullptr, MS_BIND, nullptr) == 0, "mount --bind /etc/resolv.conf");
}

}  // namespace

NameServer::NameServer(const Netns& netns) {
  netns.inside([&] {
    socket_ = os::Fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = ::htons(53);
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    need(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "127.0.0.1:53");
  });
}

bool NameServer::receive(int milliseconds) {
  pollfd wait{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&wait, 1, milliseconds) <= 0) return false;
  char message[512];
  sockaddr_in from{};
  socklen_t length = sizeof from;
  const ssize_t size =
      ::recvfrom(socket_.get(), message, sizeof message, 0, reinterpret_cast<sockaddr*>(&from), &length);
  need(size > static_cast<ssize_t>(kHeader), "a question");
  Question question{.message = {message, static_cast<std::size_t>(size)},
                    .from = {reinterpret_cast<const char*>(&from), length},
                    .name = {},
                    .seen = now()};
  const std::size_t end = behindName(question.message);
  question.name = question.message.substr(kHeader, end - kHeader);
  const std::size_t type = end + 1;
  if (type >= question.message.size() || question.message[type] != kTypeA || !question.name.ends_with(kDomain)) {
    reply(question, {});
  } else if (const auto known = answered_.find(question.name); known != answered_.end()) {
    // Queried again before the answer was read.
    reply(question, known->second);
  } else {
    // A repeated query means that the first one was abandoned.
    std::erase_if(waiting_, [&](const Question& other) { return other.name == question.name; });
    waiting_.push_back(std::move(question));
  }
  return true;
}

void NameServer::serve() {
  while (receive(0)) {
  }
}

NameServer::Question NameServer::next() {
  const std::int64_t deadline = now() + kPatience;
  do {
    // Everything that is queued: each name is queried in both families, and is resolved only when both are answered.
    while (receive(waiting_.empty() ? 100 : 2)) {
    }
    // A late answer does not count. These names will be queried again, now or after a while.
    std::erase_if(waiting_, [](const Question& each) { return now() - each.seen > kFresh; });
    if (waiting_.empty()) continue;
    Question first = std::move(waiting_.front());
    waiting_.pop_front();
    return first;
  } while (now() < deadline);
  die("nobody asks");
}

void NameServer::answer(const Question& question, const std::string& address) {
  in_addr bytes{};
  ::inet_pton(AF_INET, address.c_str(), &bytes);
  // The queried name, A, IN, an hour, four bytes.
  const std::string head{"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04", 12};
  const std::string& record = answered_[question.name] =
      head + std::string{reinterpret_cast<const char*>(&bytes), sizeof bytes};
  reply(question, record);
}

void NameServer::reply(const Question& question, const std::string& record) const {
  const std::string message = question.message.substr(0, 2) + std::string{"\x81\x80\0\x01\0", 5} +
                              (record.empty() ? '\0' : '\x01') + std::string(4, '\0') +
                              question.message.substr(kHeader, behindName(question.message) + 4 - kHeader) + record;
  ::sendto(socket_.get(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(question.from.data()),
           static_cast<socklen_t>(question.from.size()));
}

bool isElementAdded(const nlmsghdr* message) {
  return message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM);
}

NamedRouter::NamedRouter(const Options& options, const Tunnels& tunnels, int names) : server_(netns_) {
  // A link-local address that appears later is a change, after which pending queries are repeated.
  netns_.shell("echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode");
  addWans(netns_, 2);
  tunnels_ = startTunnels(netns_, tunnels);
  askLoopback();
  const std::int64_t begin = now();
  daemon_ = startDaemon(netns_, options, 2, false, sections(tunnels, names));
  startedIn_ = static_cast<double>(now() - begin) / 1e6;
  netns_.inside([&] {
    observer_ = std::make_unique<RawSocket>(NETLINK_NETFILTER, std::initializer_list<int>{NFNLGRP_NFTABLES});
  });
}

double NamedRouter::answerToElement() {
  const NameServer::Question question = server_.next();
  pause(2'000, 4'000);
  observer_->drain();
  // Far away from those of the tunnels.
  const std::string address = endpointAddress(1'000'000 + answered_++);
  const std::int64_t begin = now();
  server_.answer(question, address);
  // The answer may cross the second attempt, which has another id.
  if (!awaitMessage(*observer_, isElementAdded, [this] { server_.serve(); }))
    die("no element within ten seconds of the answer");
  return static_cast<double>(now() - begin) / 1000;
}

}  // namespace wgsteer::bench
