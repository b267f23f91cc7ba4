// SPDX-License-Identifier: GPL-2.0-or-later
// Elements of the sets and maps: from members of the table to the kernel's bytes and back.
//
// Keys: an interface name is padded with zeros to 16 bytes, a mark is in host byte order, all else in network order;
// each component of a concatenation starts at a multiple of four bytes.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "wgsteer/core/plan.hpp"
#include "wgsteer/result.hpp"

#include "handles.hpp"
#include "ruleset.hpp"

struct nlmsghdr;

namespace wgsteer::nft {

struct Bytes {
  std::array<std::uint8_t, 32> data{};
  std::uint32_t length = 0;
  std::span<const std::uint8_t> view() const { return {data.data(), length}; }
  bool operator==(const Bytes&) const = default;
};

struct GoTo {
  std::string chain;
  bool operator==(const GoTo&) const = default;
};
struct Return {
  bool operator==(const Return&) const = default;
};
struct CounterName {
  std::string name;
  bool operator==(const CounterName&) const = default;
};

struct Element {
  SetId set = SetId::wan;
  Bytes key;
  std::variant<std::monostate, Bytes, GoTo, Return, CounterName> value;
  bool operator==(const Element&) const = default;
};

/// What a member is in the sets: one element, several for a WAN, none for a policy (a chain). Fails for a device name
/// that the kernel would not have.
Status appendElements(const NftMember& member, std::vector<Element>& elements);

/// Appends the element to the list that is open in the message; without its value for a deletion.
void encode(nlmsghdr* message, const Element& element, bool withValue);
/// Nothing when it is none that encode() makes. Without a value what encode() made without one.
std::optional<Element> decode(SetId set, nftnl_set_elem* element);
/// As nft(8) spells it: `203.0.113.55 . 51820 : goto policy_1`.
std::string toString(const Element& element);

/// The contents of all sets put together again. `wan` and `initiations` say what `arrival` says, in other words;
/// `kept_out` has no mark that `own_mark` has not.
struct Contents {
  NftTable table;
  std::set<IfName> wanSet;
  std::set<Mark> ownMarks;
  std::map<IfName, std::string> initiations;

  /// False when the element is none that this program makes.
  bool take(const Element& element);
  /// Whether the WANs are the same in all three places, each with a number of its own.
  bool consistent() const;
};

}  // namespace wgsteer::nft
