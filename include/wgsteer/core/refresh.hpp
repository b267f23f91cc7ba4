// SPDX-License-Identifier: GPL-2.0-or-later
// When a host name is resolved again, and which of its addresses are valid meanwhile. Randomness is passed in, as time
// is: `random` is any 32 random bits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/time.hpp"

namespace wgsteer {

/// Bounds for a time to live. A hostile server could send zero in order to be queried endlessly.
inline constexpr std::chrono::seconds kMinTtl{5};
inline constexpr std::chrono::seconds kMaxTtl{3600};
/// The delay after the first failure, which doubles up to the last one.
inline constexpr std::chrono::seconds kFirstBackOff{1};
inline constexpr std::chrono::seconds kLastBackOff{60};
/// Stalls and network changes may come in bursts: no name is resolved more often than this.
inline constexpr std::chrono::seconds kMinAskInterval{1};
/// WireGuard's Reject-After-Time (whitepaper, 6.1): after that, no session that began with the old address is alive.
inline constexpr std::chrono::seconds kAddressGrace{180};
/// A name that has new addresses in every answer must not fill the kernel's sets: the oldest are dropped early.
inline constexpr std::size_t kMaxLeaving = 64;

/// A name's addresses as a resolver gave them, with nothing unusable among them.
struct ResolvedName {
  std::vector<Address> addresses;  ///< sorted, each once
  std::chrono::seconds ttl{};      ///< the smallest of the chain, as received
  /// The family whose query was not answered: its addresses are unknown, which is not the same as having none.
  std::optional<Family> unanswered;
  bool operator==(const ResolvedName&) const = default;
};

/// One name. Its addresses stay indefinitely if no more answers come.
struct FollowedName {
  std::map<Address, std::optional<Instant>> addresses;  ///< with a time: no longer in the answer, dropped then
  Instant next{};                                       ///< when to ask; meaningless while asking
  std::optional<Instant> asked;                         ///< the last time, if ever
  bool asking = false;
  unsigned failures = 0;  ///< in a row

  bool due(Instant now) const { return !asking && next <= now; }
  /// The addresses of the last answer, any of which a peer may be given.
  std::vector<Address> current() const;
  /// When to look at it again: to resolve it, or because an address is to be dropped. nullopt if neither is due: a
  /// query is out.
  std::optional<Instant> wake() const;
};

struct AddressChanges {
  std::vector<Address> added;
  std::vector<Address> removed;
  bool operator==(const AddressChanges&) const = default;
};

/// The query has been sent.
void noteAsked(FollowedName& name, Instant now);
/// The answer has arrived. Addresses that are no longer in it stay for kAddressGrace.
AddressChanges noteAnswer(FollowedName& name, const ResolvedName& answer, Instant now, std::uint32_t random);
/// There was no usable answer: the next query is delayed, the addresses stay.
void noteFailure(FollowedName& name, Instant now, std::uint32_t random);
/// A handshake stalls, or a WAN came up: resolve it now, unless that has just been done.
void askSoon(FollowedName& name, Instant now);
/// Removes and returns the addresses that are due to be dropped.
std::vector<Address> takeLeft(FollowedName& name, Instant now);

}  // namespace wgsteer
