// SPDX-License-Identifier: GPL-2.0-or-later
// Nexthop objects (ip-nexthop(8), since 5.3), as FRR's zebra and systemd-networkd make them.
#include <cstring>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

#include "netlink/declared.hpp"
#include "netlink/rtnl.hpp"

namespace wgsteer::netlink {

namespace {

/// As in rtm_nh_policy_new of the kernel. The gateway is of the object's own family; a group has none.
constexpr auto kAttributes = std::to_array<Declared>({
    {NHA_ID, Length::u32, true},
    {NHA_GROUP},
    {NHA_BLACKHOLE},
    {NHA_OIF, Length::u32},
    {NHA_GATEWAY, Length::address},
    {NHA_FDB},
});

/// nullopt: malformed.
std::optional<std::vector<Nexthop::Member>> membersIn(Bytes group) {
  if (group.size() % sizeof(nexthop_grp) != 0) return std::nullopt;
  std::vector<Nexthop::Member> members;
  for (; group.size() >= sizeof(nexthop_grp); group = group.subspan(sizeof(nexthop_grp))) {
    nexthop_grp member{};
    std::memcpy(&member, group.data(), sizeof member);
    members.push_back({member.id, static_cast<std::uint16_t>(member.weight + 1)});
  }
  return members;
}

}  // namespace

std::optional<std::pair<std::uint32_t, Nexthop>> decodeNexthop(const nlmsghdr* message) {
  const auto parts = partsOf<nhmsg>(message);
  if (!parts) return std::nullopt;
  const auto family = familyOf(parts->header.nh_family);
  if (!conforms(parts->attributes, kAttributes, family)) return std::nullopt;
  const Attributes<NHA_FDB> attributes{parts->attributes};
  const std::uint32_t id = attributes.u32(NHA_ID);
  if (id == 0 || attributes.has(NHA_FDB) || (attributes.has(NHA_GATEWAY) && !family)) return std::nullopt;
  Nexthop nexthop;
  nexthop.blackhole = attributes.has(NHA_BLACKHOLE);
  if (const auto group = attributes.at(NHA_GROUP)) {
    auto members = membersIn(*group);
    if (!members) return std::nullopt;
    nexthop.members = std::move(*members);
  } else if (const auto device = attributes.integer<std::int32_t>(NHA_OIF); device && !nexthop.blackhole) {
    nexthop.hops = {{.device = IfIndex{*device},
                     .gateway = family ? attributes.address(NHA_GATEWAY, *family) : std::nullopt,
                     .onlink = (parts->header.nh_flags & RTNH_F_ONLINK) != 0}};
  }
  return std::pair{id, std::move(nexthop)};
}

}  // namespace wgsteer::netlink
