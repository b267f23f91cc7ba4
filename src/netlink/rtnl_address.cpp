// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "netlink/declared.hpp"
#include "netlink/rtnl.hpp"

namespace wgsteer::netlink {

namespace {

/// IFA_PROTO of linux/if_addr.h since 5.18; Debian 12's headers have it, older kernels do not send it.
constexpr std::size_t kProto = 11;

/// As in ifa_ipv4_policy and ifa_ipv6_policy of the kernel.
constexpr auto kAttributes = std::to_array<Declared>({
    {IFA_ADDRESS, Length::address},
    {IFA_LOCAL, Length::address},
    {IFA_FLAGS, Length::u32},
    {kProto, Length::u8},
});

}  // namespace

std::optional<InterfaceAddress> decodeAddress(const nlmsghdr* message) {
  const auto parts = partsOf<ifaddrmsg>(message);
  if (!parts) return std::nullopt;
  const auto family = familyOf(parts->header.ifa_family);
  if (!family || parts->header.ifa_prefixlen > bitsOf(*family)) return std::nullopt;
  if (!conforms(parts->attributes, kAttributes, family)) return std::nullopt;
  const Attributes<kProto> attributes{parts->attributes};

  // IPv4 always sends both; equal unless point-to-point. IPv6 sends IFA_LOCAL only for point-to-point (if_addr.h).
  const auto address = attributes.address(IFA_ADDRESS, *family);
  const auto local = attributes.address(IFA_LOCAL, *family);
  if (!address && !local) return std::nullopt;
  InterfaceAddress own;
  own.device = IfIndex{static_cast<std::int32_t>(parts->header.ifa_index)};
  own.address = local.value_or(address.value_or(Address{}));
  own.prefixLength = parts->header.ifa_prefixlen;
  if (local && address && *local != *address) own.peer = address;
  const std::uint32_t flags = attributes.u32(IFA_FLAGS, parts->header.ifa_flags);
  own.deprecated = (flags & IFA_F_DEPRECATED) != 0;
  own.tentative = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
  // The same bit says "secondary" in IPv4.
  own.temporary = *family == Family::v6 && (flags & IFA_F_TEMPORARY) != 0;
  own.noPrefixRoute = (flags & IFA_F_NOPREFIXROUTE) != 0;
  own.linkScope = parts->header.ifa_scope == RT_SCOPE_LINK || parts->header.ifa_scope == RT_SCOPE_HOST;
  if (const auto proto = attributes.integer<std::uint8_t>(kProto)) own.protocol = *proto;
  return own;
}

}  // namespace wgsteer::netlink
