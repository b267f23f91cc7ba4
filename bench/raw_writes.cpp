// SPDX-License-Identifier: GPL-2.0-or-later
#include "raw_writes.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <span>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wgsteer/core/overload.hpp"

#include "kernel/sysctl_files.hpp"
#include "netlink/rtnl.hpp"
#include "nft/transaction.hpp"
#include "process.hpp"
#include "wans.hpp"

namespace wgsteer::bench {

namespace {

Prebuilt copied(std::span<const std::byte> bytes) {
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  return {data, data + bytes.size()};
}

template <class Encode>
Prebuilt encoded(std::uint16_t type, std::uint16_t flags, Encode encode) {
  netlink::Message message{type, static_cast<std::uint16_t>(flags | NLM_F_ACK)};
  encode(message);
  return copied(message.finished());
}

constexpr std::uint16_t kAnew = NLM_F_CREATE | NLM_F_EXCL;

}  // namespace

RawWrites::RawWrites() : netfilter_(NETLINK_NETFILTER) {}

RawWrites::RawWrites(const Plan& plan, const Numbers& numbers) : RawWrites() {
  numbers_ = numbers;
  for (const Change& change : plan.changes) take(change);
}

void RawWrites::make() {
  for (const Write& write : writes_)
    std::visit(Overload{[&](const ToRtnetlink& bytes) { rtnetlink_.transact(bytes.message); },
                        [&](const ToNetfilter& bytes) { netfilter_.transact(bytes.batch); },
                        [&](const ToTunnel& text) { tell(text); },
                        [&](const Sysctl& sysctl) { (void)kernel::writeSysctl(sysctl, true); }},
               write);
}

void RawWrites::take(const Change& change) {
  std::visit(
      Overload{[&](const AddRoute& each) {
                 add(encoded(RTM_NEWROUTE, kAnew, [&](netlink::Message& to) { netlink::encodeRoute(to, each.route); }));
               },
               [&](const DeleteRoute& each) {
                 add(encoded(RTM_DELROUTE, 0, [&](netlink::Message& to) { netlink::encodeRoute(to, each.route); }));
               },
               [&](const AddRule& each) {
                 add(encoded(RTM_NEWRULE, kAnew, [&](netlink::Message& to) { netlink::encodeRule(to, each.rule); }));
               },
               [&](const SetTunnelMark& each) {
                 add(each.tunnel, "set=1\nfwmark=" + std::to_string(each.mark.value) + "\n\n");
               },
               [&](const SetSysctl& each) { writes_.emplace_back(each.sysctl); },
               [&](const NftTransaction& each) {
                 nft::Batch batch(1);
                 if (!nft::fill(batch, each, numbers_)) die("the nft transaction cannot be made");
                 writes_.emplace_back(ToNetfilter{copied(batch.finish())});
               },
               [](const SetDeprecated&) { die("no benchmark deprecates addresses"); },
               [](const DeleteRule&) { die("no benchmark deletes rules"); }},
      change);
}

void RawWrites::tell(const ToTunnel& what) {
  const os::Fd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ("/var/run/wireguard/" + what.device + ".sock").copy(address.sun_path, sizeof address.sun_path - 1);
  char answer[64];
  need(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
           ::write(socket.get(), what.text.data(), what.text.size()) > 0 &&
           ::read(socket.get(), answer, sizeof answer) > 0,
       what.device);
}

Config configuration(int wans) {
  Config config;
  for (int i = 0; i < wans; ++i) {
    WanConfig wan;
    wan.name = wan.device = wanName(i);
    wan.metric = static_cast<std::uint32_t>(i) + 1;
    config.wans.push_back(wan);
  }
  return config;
}

}  // namespace wgsteer::bench
