// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/rtnetlink.hpp"

#include <cerrno>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/numbers.hpp"

#include "netlink/declared.hpp"
#include "netlink/route_filter.hpp"
#include "netlink/rtnl.hpp"
#include "netlink/trace.hpp"

namespace wgsteer::netlink {

namespace {

std::string numbered(IfIndex index) { return "if" + std::to_string(index.value); }

std::string routeText(const char* verb, const Route& route) {
  return std::string{ipCommand(route.family())} + " route " + verb + " " + describe(route, numbered);
}

std::string ruleText(const char* verb, const Rule& rule) {
  return std::string{ipCommand(rule.family)} + " rule " + verb + " " + describe(rule);
}

/// A family that the kernel does not have (IPv6 switched off at boot) counts as empty.
bool isMissingFamily(const Error& error) { return error.code == EAFNOSUPPORT || error.code == EOPNOTSUPP; }

Status gone(Status outcome) {
  if (!outcome && outcome.error().kind == ErrorKind::notThere) return {};
  return outcome;
}

/// Sorts out what the kernel sends although it is not wanted: the socket's filter looks only at the first hop, and has
/// room for a limited number of tables.
bool concernsUs(const Event& event, const RouteInterest& interest) {
  if (const auto* added = std::get_if<RouteAdded>(&event)) return interest.wants(added->route);
  if (const auto* gone = std::get_if<RouteGone>(&event)) return interest.wants(gone->route);
  return true;
}

std::optional<Event> decodeRouteAdded(const nlmsghdr* message) {
  auto route = decodeRoute(message);
  if (!route) return std::nullopt;
  // When a next hop joins an IPv6 route, the whole route is announced again, without NLM_F_REPLACE (6.18).
  const bool joined = route->family() == Family::v6 && route->hops.size() > 1;
  return RouteAdded{.route = std::move(*route),
                    .replaced = joined || (message->nlmsg_flags & NLM_F_REPLACE) != 0,
                    .appended = (message->nlmsg_flags & NLM_F_APPEND) != 0};
}

/// As in devconf_ipv4_policy and devconf_ipv6_policy of the kernel.
constexpr auto kSysctlAttributes = std::to_array<Declared>({
    {NETCONFA_IFINDEX, Length::u32, true},
    {NETCONFA_RP_FILTER, Length::u32},
    {NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN, Length::u32},
});

/// Of the answer to `ip route get`.
constexpr auto kLookupAttributes = std::to_array<Declared>({
    {RTA_OIF, Length::u32},
    {RTA_GATEWAY, Length::address},
    {RTA_VIA, Length::via},
    {RTA_PREFSRC, Length::address},
});

/// Only for the switches that we look at; forwarding and the like are announced in the same way.
std::optional<Event> decodeSysctlsChanged(const nlmsghdr* message) {
  const auto parts = partsOf<netconfmsg>(message);
  if (!parts || !conforms(parts->attributes, kSysctlAttributes)) return std::nullopt;
  const Attributes<NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN> attributes{parts->attributes};
  if (!attributes.has(NETCONFA_RP_FILTER) && !attributes.has(NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN)) return std::nullopt;
  const auto index = attributes.integer<std::int32_t>(NETCONFA_IFINDEX);
  if (index == NETCONFA_IFINDEX_ALL) return SysctlsChanged{IfIndex{0}};
  // "default" holds initial values: each device reports its own when it appears.
  if (!index || *index <= 0) return std::nullopt;
  return SysctlsChanged{IfIndex{*index}};
}

}  // namespace

Result<Rtnetlink> Rtnetlink::open() {
  auto requests = RequestSocket::open(NETLINK_ROUTE);
  if (!requests) return std::unexpected(requests.error());
  return Rtnetlink{std::move(*requests)};
}

Result<std::map<IfIndex, Link>> Rtnetlink::links() {
  std::map<IfIndex, Link> found;
  const auto outcome = dumpUntilWhole([&] {
    found.clear();
    Message message{RTM_GETLINK, 0};
    message.extra<ifinfomsg>();
    return requests_.dump(
        message,
        [&](const nlmsghdr* answer) {
          if (auto link = decodeLink(answer)) found.insert_or_assign(link->index, std::move(*link));
        },
        [] { return std::string{"ip link show"}; });
  });
  if (!outcome) return std::unexpected(outcome.error());
  return found;
}

Result<std::set<InterfaceAddress>> Rtnetlink::addresses() {
  std::set<InterfaceAddress> found;
  const auto outcome = dumpUntilWhole([&] {
    found.clear();
    Message message{RTM_GETADDR, 0};
    message.extra<ifaddrmsg>();
    return requests_.dump(
        message,
        [&](const nlmsghdr* answer) {
          if (auto address = decodeAddress(answer)) found.insert(*address);
        },
        [] { return std::string{"ip address show"}; });
  });
  if (!outcome) return std::unexpected(outcome.error());
  return found;
}

Result<std::set<Route>> Rtnetlink::routes(Family family, std::optional<TableId> table,
                                          const std::function<bool(const Route&)>& keep) {
  std::set<Route> found;
  const auto outcome = eachRoute(
      family, table, [&] { found.clear(); },
      [&](Route&& route) {
        if (keep(route)) found.insert(std::move(route));
      });
  if (!outcome) return std::unexpected(outcome.error());
  return found;
}

Status Rtnetlink::eachRoute(Family family, std::optional<TableId> table, const std::function<void()>& restart,
                            const std::function<void(Route&&)>& take) {
  auto outcome = dumpUntilWhole([&] {
    restart();
    Message message{RTM_GETROUTE, 0};
    message.extra<rtmsg>().rtm_family = static_cast<unsigned char>(addressFamily(family));
    if (table) message.u32(RTA_TABLE, table->value);
    return requests_.dump(
        message,
        [&](const nlmsghdr* answer) {
          auto route = decodeRoute(answer);
          // Kernels before strict checking send all tables; those without IPv6 answer for IPv4 instead.
          const bool asked = route && route->family() == family && (!table || route->table == *table);
          if (asked) take(std::move(*route));
        },
        [&] {
          return std::string{ipCommand(family)} + " route show table " + (table ? std::to_string(table->value) : "all");
        });
  });
  // A table that was never used does not exist (ENOENT): it is empty.
  if (!outcome && (outcome.error().kind == ErrorKind::notThere || isMissingFamily(outcome.error()))) return {};
  return outcome;
}

Result<std::map<std::uint32_t, Nexthop>> Rtnetlink::nexthops() {
  std::map<std::uint32_t, Nexthop> found;
  const auto outcome = dumpUntilWhole([&] {
    found.clear();
    Message message{RTM_GETNEXTHOP, 0};
    message.extra<nhmsg>();
    return requests_.dump(
        message,
        [&](const nlmsghdr* answer) {
          if (auto nexthop = decodeNexthop(answer)) found.insert_or_assign(nexthop->first, std::move(nexthop->second));
        },
        [] { return std::string{"ip nexthop show"}; });
  });
  // Before 5.3 there are none.
  if (!outcome && !isMissingFamily(outcome.error())) return std::unexpected(outcome.error());
  return found;
}

Result<std::set<Rule>> Rtnetlink::rules(Family family) {
  std::set<Rule> found;
  const auto outcome = dumpUntilWhole([&] {
    found.clear();
    Message message{RTM_GETRULE, 0};
    message.extra<fib_rule_hdr>().family = static_cast<std::uint8_t>(addressFamily(family));
    return requests_.dump(
        message,
        [&](const nlmsghdr* answer) {
          auto rule = decodeRule(answer);
          if (rule && rule->family == family) found.insert(std::move(*rule));
        },
        [&] { return std::string{ipCommand(family)} + " rule show"; });
  });
  if (!outcome && !isMissingFamily(outcome.error())) return std::unexpected(outcome.error());
  return found;
}

Status Rtnetlink::change(Message& message, const std::function<std::string()>& what) {
  auto outcome = requests_.request(message, what);
  if (trace_) trace_("sent " + trace(message.header()) + (outcome ? "" : ": " + outcome.error().toString()));
  return outcome;
}

Status Rtnetlink::addRoute(const Route& route, bool replace) {
  Message message{RTM_NEWROUTE, additionFlags(replace)};
  encodeRoute(message, route);
  return change(message, [&] { return routeText(replace ? "replace" : "add", route); });
}

Status Rtnetlink::deleteRoute(const Route& route) {
  Message message{RTM_DELROUTE, 0};
  encodeRoute(message, route);
  return gone(change(message, [&] { return routeText("del", route); }));
}

std::vector<Change> Rtnetlink::commit(PreparedRoutes& prepared) {
  std::vector<bool> failed(prepared.changes().size(), false);
  const auto outcome = requests_.requestAll(prepared.bytes(), [&](std::size_t place, const Answer& answer) {
    const bool isGone = answer.error == ESRCH && std::holds_alternative<DeleteRoute>(prepared.changes()[place]);
    failed[place] = !isGone;
  });
  std::vector<Change> made;
  if (!outcome) return made;
  if (trace_) trace_("sent " + std::to_string(failed.size()) + " route changes that were prepared");
  for (std::size_t i = 0; i < failed.size(); ++i)
    if (!failed[i]) made.push_back(prepared.changes()[i]);
  return made;
}

Status Rtnetlink::addRule(const Rule& rule) {
  Message message{RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL};
  encodeRule(message, rule);
  auto outcome = change(message, [&] { return ruleText("add", rule); });
  if (outcome || outcome.error().kind != ErrorKind::alreadyThere) return outcome;
  // EEXIST does not say whose rule exists (rules that differ only in the protocol coexist): look.
  const auto present = rules(rule.family);
  return present && present->contains(rule) ? Status{} : outcome;
}

Status Rtnetlink::deleteRule(const Rule& rule) {
  Message message{RTM_DELRULE, 0};
  encodeRule(message, rule);
  return gone(change(message, [&] { return ruleText("del", rule); }));
}

/// If it is deleted between the two, it comes back: the kernel does not heed a missing NLM_F_CREATE
/// (net/ipv6/addrconf.c, inet6_rtm_newaddr). These are a few microseconds, and what comes back is deprecated.
Status Rtnetlink::setDeprecated(const SetDeprecated& set) {
  const auto what = [&] {
    return "ip -6 address change " + set.own.address.toString() + " dev " + numbered(set.own.device) +
           " preferred_lft " + (set.on ? "0" : "(as before)");
  };
  Message question{RTM_GETADDR, 0};
  auto& header = question.extra<ifaddrmsg>();
  header.ifa_family = AF_INET6;
  header.ifa_index = static_cast<std::uint32_t>(set.own.device.value);
  question.bytes(IFA_ADDRESS, set.own.address.bytes());
  Message message{RTM_NEWADDR, NLM_F_REPLACE};
  bool write = false;
  const auto asked =
      requests_.ask(question, [&](const nlmsghdr* answer) { write = encodeDeprecated(message, answer, set); }, what);
  if (!asked || !write) return asked;
  return change(message, what);
}

namespace {

void encodeNeighbour(Message& message, const Neighbour& neighbour, std::uint8_t flags) {
  auto& header = message.extra<ndmsg>();
  header.ndm_family = static_cast<unsigned char>(addressFamily(neighbour.address.family()));
  header.ndm_ifindex = neighbour.device.value;
  header.ndm_flags = flags;
  message.bytes(NDA_DST, neighbour.address.bytes());
}

std::string neighbourText(const char* verb, const Neighbour& neighbour, const char* more) {
  return std::string{ipCommand(neighbour.address.family())} + " neigh " + verb + " " + neighbour.address.toString() +
         " dev " + numbered(neighbour.device) + more;
}

}  // namespace

/// Whether the neighbour has a permanent entry. Unknown counts as no (kernels before 5.0 do not answer).
bool Rtnetlink::isFixed(const Neighbour& neighbour) {
  Message message{RTM_GETNEIGH, 0};
  encodeNeighbour(message, neighbour, 0);
  bool fixed = false;
  const auto outcome = requests_.ask(
      message,
      [&](const nlmsghdr* answer) {
        const auto parts = partsOf<ndmsg>(answer);
        if (answer->nlmsg_type == RTM_NEWNEIGH && parts)
          fixed = (parts->header.ndm_state & (NUD_PERMANENT | NUD_NOARP)) != 0;
      },
      [&] { return neighbourText("get", neighbour, ""); });
  return outcome && fixed;
}

/// NTF_USE, as in `ip neigh replace ... use`: resolve, or confirm what is stale. A permanent entry would lose its
/// address (seen on 6.18).
Status Rtnetlink::warm(const Neighbour& neighbour) {
  if (isFixed(neighbour)) return {};
  Message message{RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE};
  encodeNeighbour(message, neighbour, NTF_USE);
  return requests_.request(message, [&] { return neighbourText("replace", neighbour, " use"); });
}

Result<Link> Rtnetlink::link(IfIndex index) {
  Message message{RTM_GETLINK, 0};
  message.extra<ifinfomsg>().ifi_index = index.value;
  std::optional<Link> found;
  const auto outcome = requests_.ask(
      message, [&](const nlmsghdr* answer) { found = decodeLink(answer); },
      [&] { return "ip link show dev " + numbered(index); });
  if (!outcome) return std::unexpected(outcome.error());
  if (!found) return fail(ErrorKind::malformed, "ip link show dev " + numbered(index) + ": no link in the answer");
  return std::move(*found);
}

Result<Rtnetlink::Found> Rtnetlink::lookup(const Packet& packet) {
  const Address& destination = packet.destination.address;
  const Family family = destination.family();
  Message message{RTM_GETROUTE, 0};
  auto& header = message.extra<rtmsg>();
  header.rtm_family = static_cast<unsigned char>(addressFamily(family));
  header.rtm_dst_len = bitsOf(family);
  if (packet.source) header.rtm_src_len = bitsOf(family);
  message.bytes(RTA_DST, destination.bytes());
  if (packet.source) message.bytes(RTA_SRC, packet.source->bytes());
  message.u32(RTA_MARK, packet.mark.value);
  std::optional<Found> found;
  const auto what = [&] {
    return std::string{ipCommand(family)} + " route get " + destination.toString() + " mark " + hex(packet.mark.value);
  };
  const auto outcome = requests_.ask(
      message,
      [&](const nlmsghdr* answer) {
        const auto parts = partsOf<rtmsg>(answer);
        if (!parts || !conforms(parts->attributes, kLookupAttributes, family)) return;
        const Attributes<RTA_VIA> attributes{parts->attributes};
        found = Found{.device = IfIndex{attributes.integer<std::int32_t>(RTA_OIF).value_or(0)},
                      .gateway = gatewayIn(attributes.at(RTA_GATEWAY), attributes.at(RTA_VIA)),
                      .source = attributes.address(RTA_PREFSRC, family)};
      },
      what);
  if (!outcome) return std::unexpected(outcome.error());
  if (!found) return fail(ErrorKind::malformed, what() + ": no route in the answer");
  return *found;
}

Status Rtnetlink::subscribe() {
  auto events = EventSocket::open(
      NETLINK_ROUTE, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                      RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF});
  if (!events) return std::unexpected(events.error());
  // Unknown before 5.3.
  (void)events->join(RTNLGRP_NEXTHOP);
  events_ = std::move(*events);
  return listen(interest_);
}

Status Rtnetlink::listen(const RouteInterest& interest) {
  interest_ = interest;
  return events_ ? events_->attach(routeFilter(requests_.portId(), interest_)) : Status{};
}

void Rtnetlink::drain(const std::function<void(const Event&)>& sink) {
  if (!events_) return;
  events_->drain(
      [&](const nlmsghdr* message) {
        const auto event = decodeEvent(message);
        if (!event || !concernsUs(*event, interest_)) return;
        if (trace_) trace_("heard " + trace(message));
        sink(*event);
      },
      [&] { sink(Overrun{}); });
}

std::optional<Event> decodeEvent(const nlmsghdr* message) {
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
      if (auto link = decodeLink(message)) return LinkChanged{std::move(*link)};
      break;
    case RTM_DELLINK:
      if (const auto link = decodeLink(message)) return LinkGone{link->index};
      break;
    case RTM_NEWADDR:
      if (const auto address = decodeAddress(message)) return AddressAdded{*address};
      break;
    case RTM_DELADDR:
      if (const auto address = decodeAddress(message)) return AddressGone{*address};
      break;
    case RTM_NEWROUTE:
      return decodeRouteAdded(message);
    case RTM_DELROUTE:
      if (auto route = decodeRoute(message)) return RouteGone{std::move(*route), message->nlmsg_pid};
      break;
    case RTM_NEWNEXTHOP:
      if (auto nexthop = decodeNexthop(message)) return NexthopChanged{nexthop->first, std::move(nexthop->second)};
      break;
    case RTM_DELNEXTHOP:
      if (const auto nexthop = decodeNexthop(message)) return NexthopGone{nexthop->first};
      break;
    case RTM_NEWRULE:
      if (auto rule = decodeRule(message)) return RuleAdded{std::move(*rule)};
      break;
    case RTM_DELRULE:
      if (auto rule = decodeRule(message)) return RuleGone{std::move(*rule), message->nlmsg_pid};
      break;
    case RTM_NEWNETCONF:
      return decodeSysctlsChanged(message);
    default:
      break;
  }
  return std::nullopt;
}

}  // namespace wgsteer::netlink
