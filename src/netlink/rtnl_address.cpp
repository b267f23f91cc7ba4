// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "netlink/declared.hpp"
#include "netlink/rtnl.hpp"
#include "os/timer.hpp"

namespace wgsteer::netlink {

namespace {

/// IFA_PROTO of linux/if_addr.h since 5.18; Debian 12's headers have it, older kernels do not send it.
constexpr std::size_t kProto = 11;

/// As in ifa_ipv4_policy and ifa_ipv6_policy of the kernel.
constexpr auto kAttributes = std::to_array<Declared>({
    {IFA_ADDRESS, Length::address},
    {IFA_LOCAL, Length::address},
    {IFA_FLAGS, Length::u32},
    {IFA_CACHEINFO, Length::addressTimes},
    {kProto, Length::u8},
});

std::optional<ifa_cacheinfo> timesIn(const Attributes<kProto>& attributes) {
  return attributes.integer<ifa_cacheinfo>(IFA_CACHEINFO);
}

std::uint32_t sinceBoot() {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(os::monotonicNow()).count());
}

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
  if (const auto times = timesIn(attributes); times && *family == Family::v6)
    own.lifetimes = {.preferred = preferredOf(times->ifa_valid, times->ifa_prefered, sinceBoot()),
                     .written = times->tstamp};
  return own;
}

namespace {

/// inet6_addr_modify in the kernel takes all of these from the request, and keeps the metric of the prefix's route
/// (IFA_RT_PRIORITY) if there is none.
constexpr std::array<std::uint16_t, 4> kKept{IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS, kProto};

/// The preferred lifetime to write; nullopt: nothing is to be written.
std::optional<std::uint32_t> preferredFor(const SetDeprecated& set, const ifa_cacheinfo& now) {
  const bool deprecated = now.ifa_prefered == 0;
  if (deprecated == set.on) return std::nullopt;
  const std::uint32_t left = set.on ? 0 : preferredLeft(set.preferred, now.ifa_valid, sinceBoot());
  return left == now.ifa_prefered ? std::nullopt : std::optional{left};
}

}  // namespace

bool encodeDeprecated(Message& message, const nlmsghdr* present, const SetDeprecated& set) {
  const auto parts = partsOf<ifaddrmsg>(present);
  if (!parts || !conforms(parts->attributes, kAttributes, Family::v6)) return false;
  const Attributes<kProto> attributes{parts->attributes};
  const auto times = timesIn(attributes);
  const auto preferred = times ? preferredFor(set, *times) : std::nullopt;
  if (!preferred) return false;
  message.extra<ifaddrmsg>() = parts->header;
  for (const std::uint16_t type : kKept)
    if (const auto value = attributes.at(type)) message.bytes(type, *value);
  message.object(IFA_CACHEINFO,
                 ifa_cacheinfo{.ifa_prefered = *preferred, .ifa_valid = times->ifa_valid, .cstamp = 0, .tstamp = 0});
  return true;
}

}  // namespace wgsteer::netlink
