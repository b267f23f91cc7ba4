// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/deprecation.hpp"

#include <algorithm>

#include "wgsteer/core/track.hpp"

#include "core/source_routing.hpp"
#include "core/wans.hpp"

namespace wgsteer {

namespace {

/// Temporary addresses follow the one that they were made from (manage_tempaddrs in the kernel).
bool isForHosts(const World& world, const Steering& steering, const InterfaceAddress& own) {
  if (own.address.family() != Family::v6 || own.linkScope || own.temporary) return false;
  const Link* link = world.link(own.device);
  return link != nullptr && !link->loopback && !isWan(steering, *link) && !isTunnel(world, *link) &&
         !isVirtualUplink(*link);
}

/// Whether only WANs that cannot be used have the address, and one of them asks for it. An address that is of no WAN
/// any more (a delegation that has ended, a WAN that is gone) stays as it is: nobody routes it now.
bool isDead(const Steering& steering, const Address& address, bool already) {
  bool asked = false;
  bool known = false;
  for (const Wan& wan : steering.wans) {
    if (!delegates(wan, address)) continue;
    if (wan.eligible(Family::v6)) return false;
    known = true;
    asked |= wan.deprecate;
  }
  return known ? asked : already;
}

}  // namespace

bool isDeprecatedByUs(const World& world, const InterfaceAddress& own) {
  if (!own.deprecated) return false;
  const auto record = world.adopted.deprecated.find(own.address);
  if (record == world.adopted.deprecated.end()) return false;
  const std::uint32_t ours = record->second.written;
  const std::uint32_t last = own.lifetimes.written;
  return ours == 0 || last == 0 || ours == last;
}

bool isDeprecatedByOthers(const World& world, const InterfaceAddress& own) {
  return own.deprecated && !isDeprecatedByUs(world, own);
}

const Wan* wanDelegating(const Steering& steering, const Address& address) {
  const auto found = std::ranges::find_if(steering.wans, [&](const Wan& wan) { return delegates(wan, address); });
  return found == steering.wans.end() ? nullptr : &*found;
}

std::map<OwnAddress, Preferred> deprecatedByUs(const World& world) {
  std::map<OwnAddress, Preferred> found;
  if (world.adopted.deprecated.empty()) return found;
  for (const InterfaceAddress& own : world.addresses)
    if (isDeprecatedByUs(world, own))
      found.emplace(ownAddress(own), world.adopted.deprecated.at(own.address).preferred);
  return found;
}

std::map<OwnAddress, Deprecation> addressesToDeprecate(const World& world, const Steering& steering) {
  std::map<OwnAddress, Deprecation> found;
  // Without another way out, hosts would lose their preference for nothing.
  const bool pointless = std::ranges::none_of(steering.wans, &Wan::deprecate) ||
                         std::ranges::none_of(steering.wans, [](const Wan& wan) { return wan.eligible(Family::v6); });
  if (pointless) return found;
  std::set<Address> taken;
  for (const InterfaceAddress& own : world.addresses) {
    const bool ours = isDeprecatedByUs(world, own);
    if (!isForHosts(world, steering, own) || (own.deprecated && !ours)) continue;
    if (!ours && (own.tentative || world.justDeprecated.contains(own.address))) continue;
    // There is one record of an address, wherever else this host has it.
    if (!isDead(steering, own.address, ours) || !taken.insert(own.address).second) continue;
    Deprecation record{own.lifetimes.preferred, 0};
    if (ours) {
      record = world.adopted.deprecated.at(own.address);
      if (own.lifetimes.written != 0) record.written = own.lifetimes.written;
    }
    found.emplace(ownAddress(own), record);
  }
  return found;
}

std::vector<OwnAddress> addressesBehind(const World& world, const Steering& steering, const Wan& wan) {
  std::vector<OwnAddress> found;
  for (const InterfaceAddress& own : world.addresses)
    if (isForHosts(world, steering, own) && delegates(wan, own.address)) found.push_back(ownAddress(own));
  return found;
}

}  // namespace wgsteer
