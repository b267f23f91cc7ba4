// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/wan_sources.hpp"

#include <algorithm>
#include <tuple>

#include "core/deprecation.hpp"

namespace wgsteer {

namespace {

bool usableSource(const InterfaceAddress& own) {
  return !own.tentative && !own.linkScope && !own.address.isLinkLocal() && !own.address.isLoopback();
}

/// Whether a default route of this WAN names an address that another device has: by its `src`, wherever that address is
/// (lo, a bridge), or by the delegated prefix to which it is restricted (`from`), in which the WAN itself has no
/// address (netifd and dhcpcd, with a LAN behind). Never an address of a tunnel.
bool namesSource(const World& world, const std::vector<Route>& defaults, const InterfaceAddress& own) {
  return !isOfTunnel(world, own) && std::ranges::any_of(defaults, [&](const Route& route) {
    return route.preferredSource == own.address || (!route.source.isDefault() && route.source.contains(own.address));
  });
}

}  // namespace

bool isOfTunnel(const World& world, const InterfaceAddress& own) {
  const Link* link = world.link(own.device);
  return link == nullptr || isTunnel(world, *link);
}

bool hasAddressIn(const World& world, const std::vector<Wan>& wans, const Prefix& prefix) {
  return std::ranges::any_of(wans, [&](const Wan& wan) {
    return wan.link != nullptr && std::ranges::any_of(world.addressesOf(wan.link->index),
                                                      [&](const auto& own) { return prefix.contains(own.address); });
  });
}

namespace {

bool hasRouterIn(const Wan& wan, const InterfaceAddress& own) {
  const auto known = wan.defaults.find(own.address.family());
  return known != wan.defaults.end() && std::ranges::any_of(known->second, [&](const Route& route) {
           const auto& gateway = route.hops.front().gateway;
           return gateway && Prefix{own.address, own.prefixLength}.contains(*gateway);
         });
}

}  // namespace

const Wan* wanOf(const std::vector<Wan>& wans, const InterfaceAddress& own) {
  const auto rank = [&](const Wan& wan) {
    const auto source = wan.source.find(own.address.family());
    const bool sends = source != wan.source.end() && source->second == own.address;
    return std::tuple{!sends, !hasRouterIn(wan, own), wan.secondary};
  };
  const Wan* owner = nullptr;
  for (const Wan& wan : wans)
    if (wan.link != nullptr && wan.link->index == own.device && (owner == nullptr || rank(wan) < rank(*owner)))
      owner = &wan;
  return owner;
}

/// The address that the kernel would most likely choose itself: the route's own, else one in the gateway's prefix, a
/// preferred one before a deprecated, a global before a unique local, a stable before a temporary.
std::optional<Address> preferredSource(const World& world, const Wan& wan, Family family) {
  const auto known = wan.defaults.find(family);
  const Route* best = known == wan.defaults.end() || known->second.empty() ? nullptr : &known->second.front();
  const auto rank = [&](const InterfaceAddress& own) {
    const bool asked = best != nullptr && best->preferredSource == own.address;
    const bool nearGateway = best != nullptr && best->hops.front().gateway &&
                             Prefix{own.address, own.prefixLength}.contains(*best->hops.front().gateway);
    const bool itsOwn = own.device == wan.link->index;
    return std::tuple{!asked,       !itsOwn,      isDeprecatedByOthers(world, own), own.address.isUniqueLocal(),
                      !nearGateway, own.temporary};
  };
  const InterfaceAddress* chosen = nullptr;
  const auto consider = [&](const InterfaceAddress& own) {
    if (own.address.family() != family || !usableSource(own)) return;
    if (chosen == nullptr || rank(own) < rank(*chosen)) chosen = &own;
  };
  for (const InterfaceAddress& own : world.addressesOf(wan.link->index)) consider(own);
  if (best != nullptr)
    for (const InterfaceAddress& own : world.addresses)
      if (namesSource(world, known->second, own)) consider(own);
  if (chosen == nullptr) return std::nullopt;
  return chosen->address;
}

namespace {

/// For a WAN that has only a link-local address, with the delegated prefix on a LAN: packets leave with an address of
/// that LAN. Left to itself, the kernel chooses the address most similar to the destination, even a tunnel's.
std::optional<Address> sourceBehind(const World& world, const std::vector<Wan>& wans) {
  const InterfaceAddress* chosen = nullptr;
  const auto isOfWan = [&](const InterfaceAddress& own) {
    return std::ranges::any_of(wans,
                               [&](const Wan& wan) { return wan.link != nullptr && wan.link->index == own.device; });
  };
  const auto rank = [&](const InterfaceAddress& own) {
    return std::tuple{isDeprecatedByOthers(world, own), own.address.isUniqueLocal(), own.temporary};
  };
  for (const InterfaceAddress& own : world.addresses) {
    if (own.address.family() != Family::v6 || !usableSource(own) || isOfTunnel(world, own) || isOfWan(own)) continue;
    if (chosen == nullptr || rank(own) < rank(*chosen)) chosen = &own;
  }
  if (chosen == nullptr) return std::nullopt;
  return chosen->address;
}

/// A WAN that main prefers to all others and that has no address of its own: as far as can be told, the prefix of a LAN
/// was delegated by it, and main sends packets from that prefix by this WAN.
bool takesSourceFromInside(const World& world, const std::vector<Wan>& wans, const Wan& wan, Family family) {
  if (family != Family::v6 || !wan.eligible(family)) return false;
  const bool preferred = std::ranges::none_of(wans, [&](const Wan& other) {
    return &other != &wan && other.eligible(family) && other.metric.at(family) < wan.metric.at(family);
  });
  if (!preferred) return false;
  const auto behind = sourceBehind(world, wans);
  return behind && !behind->isUniqueLocal();
}

}  // namespace

/// Packets that leave by a WAN without an address get whatever source the kernel finds on this host, possibly another
/// WAN's, and the provider drops them. So such a WAN is a last resort, used only if no other WAN is usable. In IPv6
/// this happens whenever an address is replaced, because default routes outlive the last address (IPv4's do not).
void passOverSourceless(const World& world, std::vector<Wan>& wans) {
  for (const Family family : kFamilies) {
    const auto hasSource = [family](const Wan& wan) { return wan.eligible(family) && wan.source.contains(family); };
    const bool any = std::ranges::any_of(wans, hasSource);
    for (Wan& wan : wans) {
      if (wan.source.contains(family)) continue;
      if (any && !takesSourceFromInside(world, wans, wan, family))
        wan.sourceless.insert(family);
      else if (family == Family::v6 && wan.defaults.contains(family))
        if (const auto behind = sourceBehind(world, wans)) wan.source[family] = *behind;
    }
  }
}

}  // namespace wgsteer
