// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/rtnetlink.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include "reactors.hpp"
#include "wans.hpp"

namespace wgsteer::bench {

namespace {

struct NlReactor {
  nl_sock* requests = nullptr;
  int device = 0;
};

int deviceOf(rtnl_route* route) {
  rtnl_nexthop* hop = rtnl_route_get_nnexthops(route) > 0 ? rtnl_route_nexthop_n(route, 0) : nullptr;
  return hop == nullptr ? 0 : rtnl_route_nh_get_ifindex(hop);
}

/// The default route of the policy's table that corresponds to that of the main table.
rtnl_route* mirrored(rtnl_route* original, int device) {
  rtnl_route* route = rtnl_route_alloc();
  rtnl_route_set_family(route, AF_INET);
  rtnl_route_set_table(route, kPolicyTable);
  rtnl_route_set_priority(route, 1);
  rtnl_route_set_protocol(route, 87);
  rtnl_route_set_dst(route, rtnl_route_get_dst(original));
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, device);
  rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
  if (nl_addr* gateway = rtnl_route_nh_get_gateway(rtnl_route_nexthop_n(original, 0)))
    rtnl_route_nh_set_gateway(hop, gateway);
  rtnl_route_add_nexthop(route, hop);
  return route;
}

void onRoute(nl_cache* /*cache*/, nl_object* object, int action, void* data) {
  const auto& reactor = *static_cast<NlReactor*>(data);
  auto* route = reinterpret_cast<rtnl_route*>(object);
  if (rtnl_route_get_table(route) != RT_TABLE_MAIN || nl_addr_get_prefixlen(rtnl_route_get_dst(route)) != 0 ||
      deviceOf(route) != reactor.device)
    return;
  rtnl_route* wanted = mirrored(route, reactor.device);
  if (action == NL_ACT_DEL)
    rtnl_route_delete(reactor.requests, wanted, 0);
  else
    rtnl_route_add(reactor.requests, wanted, NLM_F_CREATE | NLM_F_REPLACE);
  rtnl_route_put(wanted);
}

}  // namespace

void runNlReactor(int device, const Gate& ready) {
  static NlReactor reactor;
  reactor.device = device;
  reactor.requests = nl_socket_alloc();
  need(nl_connect(reactor.requests, NETLINK_ROUTE) == 0, "nl_connect");
  nl_cache_mngr* manager = nullptr;
  need(nl_cache_mngr_alloc(nullptr, NETLINK_ROUTE, NL_AUTO_PROVIDE, &manager) == 0, "nl_cache_mngr_alloc");
  nl_cache* cache = nullptr;
  need(nl_cache_mngr_add(manager, "route/link", nullptr, nullptr, &cache) == 0, "nl_cache_mngr_add link");
  need(nl_cache_mngr_add(manager, "route/route", onRoute, &reactor, &cache) == 0, "nl_cache_mngr_add route");
  ready.open();
  while (nl_cache_mngr_poll(manager, -1) >= 0) {
  }
  die("nl_cache_mngr_poll");
}

}  // namespace wgsteer::bench
