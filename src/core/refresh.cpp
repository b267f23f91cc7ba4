// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/refresh.hpp"

#include <algorithm>
#include <set>

namespace wgsteer {

namespace {

/// Between `percent` % of the time and all of it, so that a thousand routers do not query in the same second.
Instant jittered(Instant time, unsigned percent, std::uint32_t random) {
  const Instant spread = time / 100 * (100 - percent);
  // In thousandths: all of `random` times an hour in nanoseconds would overflow.
  return time - spread * (random % 1001) / 1000;
}

Instant backOff(unsigned failures) {
  Instant delay = kFirstBackOff;
  for (unsigned i = 1; i < failures && delay < kLastBackOff; ++i) delay *= 2;
  return std::min<Instant>(delay, kLastBackOff);
}

std::vector<Address> dropSurplus(FollowedName& name) {
  std::set<std::pair<Instant, Address>> leaving;
  for (const auto& [address, leaves] : name.addresses)
    if (leaves) leaving.emplace(*leaves, address);
  std::vector<Address> dropped;
  for (const auto& [leaves, address] : leaving) {
    if (leaving.size() - dropped.size() <= kMaxLeaving) break;
    name.addresses.erase(address);
    dropped.push_back(address);
  }
  std::ranges::sort(dropped);
  return dropped;
}

}  // namespace

std::vector<Address> FollowedName::current() const {
  std::vector<Address> present;
  for (const auto& [address, leaves] : addresses)
    if (!leaves) present.push_back(address);
  return present;
}

std::optional<Instant> FollowedName::wake() const {
  std::optional<Instant> first;
  if (!asking) first = next;
  for (const auto& [address, leaves] : addresses)
    if (leaves && (!first || *leaves < *first)) first = leaves;
  return first;
}

void noteAsked(FollowedName& name, Instant now) {
  name.asking = true;
  name.asked = now;
}

AddressChanges noteAnswer(FollowedName& name, const ResolvedName& answer, Instant now, std::uint32_t random) {
  AddressChanges changes;
  const std::set<Address> given(answer.addresses.begin(), answer.addresses.end());
  for (auto& [address, leaves] : name.addresses)
    if (!leaves && !given.contains(address) && address.family() != answer.unanswered) leaves = now + kAddressGrace;
  for (const Address& address : given) {
    const auto [known, isNew] = name.addresses.try_emplace(address);
    known->second.reset();
    if (isNew) changes.added.push_back(address);
  }
  changes.removed = dropSurplus(name);
  name.asking = false;
  const Instant ttl = std::clamp<Instant>(answer.ttl, kMinTtl, kMaxTtl);
  if (!answer.unanswered) {
    name.failures = 0;
    // Before the expiry: a new address should not have to wait for us.
    name.next = now + std::max<Instant>(jittered(ttl, 95, random), kMinTtl);
    return changes;
  }
  // A partial answer is retried like a missing one, but no later than the other half expires.
  ++name.failures;
  name.next = now + std::min(ttl, jittered(backOff(name.failures), 75, random));
  return changes;
}

void noteFailure(FollowedName& name, Instant now, std::uint32_t random) {
  name.asking = false;
  ++name.failures;
  name.next = now + jittered(backOff(name.failures), 75, random);
}

void askSoon(FollowedName& name, Instant now) {
  const Instant earliest = name.asked ? std::max(now, *name.asked + kMinAskInterval) : now;
  name.next = std::min(name.next, earliest);
}

std::vector<Address> takeLeft(FollowedName& name, Instant now) {
  std::vector<Address> left;
  std::erase_if(name.addresses, [&](const auto& entry) {
    const bool gone = entry.second && *entry.second <= now;
    if (gone) left.push_back(entry.first);
    return gone;
  });
  return left;
}

}  // namespace wgsteer
