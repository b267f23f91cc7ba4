// SPDX-License-Identifier: GPL-2.0-or-later
// Links, with the switches that the kernel sends along (IFLA_AF_SPEC), so that no file has to be read.
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "netlink/declared.hpp"
#include "netlink/rtnl.hpp"

namespace wgsteer::netlink {

namespace {

// linux/if.h and net/if.h cannot be included together; these four never change.
constexpr unsigned kUp = 0x1;
constexpr unsigned kLoopback = 0x8;
constexpr unsigned kPointToPoint = 0x10;
constexpr unsigned kLowerUp = 0x10000;

/// DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN of linux/ipv6.h: a position in IFLA_INET6_CONF.
constexpr std::size_t kIpv6IgnoreLinkdown = DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN;

constexpr auto kAttributes = std::to_array<Declared>({
    {IFLA_IFNAME, Length::any, true},
    {IFLA_WIRELESS},
    {IFLA_LINKINFO},
    {IFLA_AF_SPEC},
});

std::uint32_t switchAt(Bytes values, std::size_t position) {
  const std::size_t offset = position * sizeof(std::uint32_t);
  return offset < values.size() ? readInteger<std::uint32_t>(values.subspan(offset)).value_or(0) : 0;
}

void readIpv4Switches(Bytes inet, Link& link) {
  const Attributes<IFLA_INET_CONF> attributes{inet};
  const auto values = attributes.at(IFLA_INET_CONF);
  if (!values) return;
  // IPV4_DEVCONF_* count from 1, the array from 0.
  const auto value = [&](std::size_t number) { return switchAt(*values, number - 1); };
  link.rpFilter = static_cast<std::uint8_t>(value(IPV4_DEVCONF_RP_FILTER));
  if (value(IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN) != 0) link.sysctls.insert(SysctlKind::ignoreLinkdown4);
  if (value(IPV4_DEVCONF_SRC_VMARK) != 0) link.sysctls.insert(SysctlKind::srcValidMark);
}

void readIpv6Switches(Bytes inet6, Link& link) {
  const Attributes<IFLA_INET6_CONF> attributes{inet6};
  const auto values = attributes.at(IFLA_INET6_CONF);
  if (values && switchAt(*values, kIpv6IgnoreLinkdown) != 0) link.sysctls.insert(SysctlKind::ignoreLinkdown6);
}

/// To the kernel, taps are of kind "tun" as well (tun_fill_info). But they carry Ethernet: a virtual machine or a
/// modem's driver may be behind one, and no WireGuard process.
std::string kindOf(Bytes linkInfo) {
  constexpr std::uint8_t kTap = 2;  // IFF_TAP of linux/if_tun.h
  const Attributes<IFLA_INFO_DATA> info{linkInfo};
  std::string kind = info.text(IFLA_INFO_KIND);
  const auto data = info.at(IFLA_INFO_DATA);
  if (kind != "tun" || !data) return kind;
  const auto type = Attributes<IFLA_TUN_TYPE>{*data}.at(IFLA_TUN_TYPE);
  return type && readInteger<std::uint8_t>(*type) == kTap ? "tap" : kind;
}

}  // namespace

std::optional<Link> decodeLink(const nlmsghdr* message) {
  const auto parts = partsOf<ifinfomsg>(message);
  // Bridges announce their ports a second time, with family AF_BRIDGE and half of the attributes.
  if (!parts || parts->header.ifi_family != AF_UNSPEC) return std::nullopt;
  if (!conforms(parts->attributes, kAttributes)) return std::nullopt;
  const Attributes<IFLA_AF_SPEC> attributes{parts->attributes};
  // Wireless extensions send events as links that have only a name (wireless_nlevent_flush).
  if (attributes.has(IFLA_WIRELESS)) return std::nullopt;
  Link link;
  link.index = IfIndex{parts->header.ifi_index};
  link.name = attributes.text(IFLA_IFNAME);
  if (link.name.empty() || link.name.size() > kMaxIfNameLength) return std::nullopt;
  link.up = (parts->header.ifi_flags & kUp) != 0;
  link.carrier = (parts->header.ifi_flags & kLowerUp) != 0;
  link.loopback = (parts->header.ifi_flags & kLoopback) != 0;
  link.pointToPoint = (parts->header.ifi_flags & kPointToPoint) != 0;
  link.hasIpv6 = false;
  if (const auto info = attributes.at(IFLA_LINKINFO)) {
    link.kind = kindOf(*info);
    link.inVrf = Attributes<IFLA_INFO_SLAVE_KIND>{*info}.text(IFLA_INFO_SLAVE_KIND) == "vrf";
  }
  if (const auto spec = attributes.at(IFLA_AF_SPEC)) {
    const Attributes<AF_INET6> families{*spec};
    if (const auto inet = families.at(AF_INET)) readIpv4Switches(*inet, link);
    if (const auto inet6 = families.at(AF_INET6)) readIpv6Switches(*inet6, link);
    link.hasIpv6 = families.has(AF_INET6);
  }
  return link;
}

}  // namespace wgsteer::netlink
