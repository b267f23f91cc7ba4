// SPDX-License-Identifier: GPL-2.0-or-later
// When a host name is asked again, and which of its addresses count meanwhile. Chance is passed in as time is:
// `random` is any 32 random bits.
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

/// Bounds for a time to live. A hostile server could send zero, to be queried without end.
inline constexpr std::chrono::seconds kMinTtl{5};
inline constexpr std::chrono::seconds kMaxTtl{3600};
/// After the first failure, then doubled up to the last.
inline constexpr std::chrono::seconds kFirstBackOff{1};
inline constexpr std::chrono::seconds kLastBackOff{60};
/// Stalls and network changes may come in bursts: no name is resolved more often than this.
inline constexpr std::chrono::seconds kMinAskInterval{1};
/// WireGuard's Reject-After-Time (whitepaper, 6.1): by then no session lives that began with the old address.
inline constexpr std::chrono::seconds kAddressGrace{180};
/// A name with new addresses at every answer does not fill the kernel's sets: the oldest leave early.
inline constexpr std::size_t kMaxLeaving = 64;

/// A name's addresses as a resolver gave them, with nothing unusable among them.
struct ResolvedName {
  std::vector<Address> addresses;  ///< sorted, each once
  std::chrono::seconds ttl{};      ///< the smallest of the chain, as received
  /// Its question was not answered: nothing is known of this family's addresses, unlike when there are none.
  std::optional<Family> unanswered;
  bool operator==(const ResolvedName&) const = default;
};

/// One name. Its addresses stay indefinitely if no more answers come.
struct FollowedName {
  std::map<Address, std::optional<Instant>> addresses;  ///< with a time: no longer in the answer, leaves then
  Instant next{};                                       ///< when to ask; meaningless while asking
  std::optional<Instant> asked;                         ///< the last time, if ever
  bool asking = false;
  unsigned failures = 0;  ///< in a row

  bool due(Instant now) const { return !asking && next <= now; }
  /// In the answer, not on the way out: what a peer may be given.
  std::vector<Address> current() const;
  /// When to look at it again: to ask, or because an address leaves. Nothing while asking with none leaving.
  std::optional<Instant> wake() const;
};

struct AddressChanges {
  std::vector<Address> added;
  std::vector<Address> removed;
  bool operator==(const AddressChanges&) const = default;
};

/// The question is on its way.
void noteAsked(FollowedName& name, Instant now);
/// Its answer. What is no longer in it stays for kAddressGrace.
AddressChanges noteAnswer(FollowedName& name, const ResolvedName& answer, Instant now, std::uint32_t random);
/// No answer, or none that can be used: back-off; the addresses stay.
void noteFailure(FollowedName& name, Instant now, std::uint32_t random);
/// A handshake stalls, or a WAN came up: ask now, unless that has just been done.
void askSoon(FollowedName& name, Instant now);
/// Takes out, and returns, what has left by now.
std::vector<Address> takeLeft(FollowedName& name, Instant now);

}  // namespace wgsteer
