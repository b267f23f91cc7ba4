// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <array>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>

#include "raw.hpp"
#include "reactors.hpp"
#include "wans.hpp"

namespace wgsteer::bench {

namespace {

std::uint32_t addressOf(const std::string& text) {
  in_addr address{};
  ::inet_pton(AF_INET, text.c_str(), &address);
  return address.s_addr;
}

class MnlReactor {
 public:
  explicit MnlReactor(int device) : device_(static_cast<std::uint32_t>(device)) {
    for (std::size_t i = 0; i < 2; ++i) {
      gateways_[i] = wanGateway(0, static_cast<int>(i) + 1);
      numbers_[i] = addressOf(gateways_[i]);
      replacements_[i] = routeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route(gateways_[i].c_str()));
    }
    deletion_ = routeMessage(RTM_DELROUTE, 0, route(nullptr));
    RawRoute spare = route(nullptr);
    spare.destination = kSparePrefix;
    spare.length = kSpareLength;
    spareAddition_ = routeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, spare);
    spareDeletion_ = routeMessage(RTM_DELROUTE, 0, spare);
  }

  void run(const Gate& ready) {
    RawSocket events(NETLINK_ROUTE, {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_IFADDR});
    const os::Fd epoll{::epoll_create1(EPOLL_CLOEXEC)};
    epoll_event event{.events = EPOLLIN, .data = {}};
    need(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, events.descriptor(), &event) == 0, "epoll_ctl");
    ready.open();
    alignas(16) static std::array<char, 32768> buffer;
    while (true) {
      need(::epoll_wait(epoll.get(), &event, 1, -1) >= 0, "epoll_wait");
      for (ssize_t size = 0; (size = events.poll(buffer)) > 0;) {
        int left = static_cast<int>(size);
        for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
             message = mnl_nlmsg_next(message, &left))
          react(message);
      }
    }
  }

 private:
  RawRoute route(const char* gateway) const {
    return {.table = kPolicyTable,
            .gateway = gateway,
            .device = static_cast<int>(device_),
            .metric = 1,
            .protocol = 87,
            .onlink = gateway != nullptr};
  }

  void react(const nlmsghdr* message) {
    if (message->nlmsg_type == RTM_NEWROUTE || message->nlmsg_type == RTM_DELROUTE) return reactToRoute(message);
    const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    if (header->ifa_index != device_ || attributeOf(message, sizeof(ifaddrmsg), IFA_LOCAL) != addressOf(kSpareAddress))
      return;
    change(message->nlmsg_type == RTM_NEWADDR ? spareAddition_ : spareDeletion_);
  }

  void reactToRoute(const nlmsghdr* message) {
    const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    if (header->rtm_table != RT_TABLE_MAIN || header->rtm_dst_len != 0) return;
    if (attributeOf(message, sizeof(rtmsg), RTA_OIF) != device_) return;
    if (message->nlmsg_type == RTM_DELROUTE) return change(deletion_);
    const std::uint32_t gateway = attributeOf(message, sizeof(rtmsg), RTA_GATEWAY);
    for (std::size_t i = 0; i < 2; ++i)
      if (gateway == numbers_[i]) change(replacements_[i]);
  }

  void change(const Prebuilt& message) {
    requests_.send(message);
    // The kernel may have done it already together with the device; that is not an error here.
    requests_.acknowledged();
  }

  std::uint32_t device_;
  RawSocket requests_;
  std::array<std::string, 2> gateways_;
  std::array<std::uint32_t, 2> numbers_{};
  std::array<Prebuilt, 2> replacements_;
  Prebuilt deletion_, spareAddition_, spareDeletion_;
};

}  // namespace

void runMnlReactor(int device, const Gate& ready) { MnlReactor(device).run(ready); }

}  // namespace wgsteer::bench
