// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/rule_cover.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <ranges>
#include <utility>

#include "wgsteer/core/traffic.hpp"

namespace wgsteer {

namespace {

/// A value of any selector as a number, its last byte in the last place.
using Value = std::array<std::uint8_t, 16>;

template <class Bytes>
Value valueOf(const Bytes& bytes) {
  Value value{};
  std::ranges::copy(bytes, value.end() - static_cast<std::ptrdiff_t>(std::ranges::size(bytes)));
  return value;
}

constexpr Value step(Value value, bool up) {
  for (std::uint8_t& byte : value | std::views::reverse)
    if (up ? ++byte != 0 : byte-- != 0) break;
  return value;
}

/// From first to last, both included.
struct Range {
  Value first{};
  Value last{};
  auto operator<=>(const Range&) const = default;
};

Range rangeOf(const Prefix& prefix) {
  Range range{.first = valueOf(prefix.address().bytes()), .last = {}};
  range.last = range.first;
  std::size_t host = prefix.address().bytes().size() * 8 - prefix.length();
  for (std::size_t i = range.last.size(); host > 0; host -= std::min<std::size_t>(host, 8))
    range.last[--i] |= static_cast<std::uint8_t>(host >= 8 ? 0xff : (1U << host) - 1);
  return range;
}
Range rangeOf(std::uint16_t first, std::uint16_t last) {
  const auto bytes = [](std::uint16_t port) {
    return std::array{static_cast<std::uint8_t>(port >> 8U), static_cast<std::uint8_t>(port & 0xffU)};
  };
  return {.first = valueOf(bytes(first)), .last = valueOf(bytes(last))};
}
Range rangeOf(const PortRange& ports) { return rangeOf(ports.first, ports.last); }
Range rangeOf(std::uint8_t number) { return rangeOf(number, number); }
Range rangeOf(const MacAddress& mac) { return {.first = valueOf(mac), .last = valueOf(mac)}; }
Range rangeOf(const IfName& device) { return {.first = valueOf(device), .last = valueOf(device)}; }

/// What is left of ranges without one of them.
std::vector<Range> without(const std::vector<Range>& ranges, const Range& hole) {
  std::vector<Range> rest;
  for (const Range& range : ranges) {
    if (hole.last < range.first || range.last < hole.first) {
      rest.push_back(range);
      continue;
    }
    if (range.first < hole.first) rest.push_back({range.first, step(hole.first, false)});
    if (hole.last < range.last) rest.push_back({step(hole.last, true), range.last});
  }
  return rest;
}

/// For comparisons of selectors. Values above the largest of their kind do no harm: they are the same in all of them.
constexpr Range kAnything{.first = {}, .last = step({}, false)};

/// All that a selector lets through of `all`.
template <class T>
std::vector<Range> allowed(const Selector<T>& selector, const Range& all = kAnything) {
  std::vector<Range> ranges;
  for (const T& value : selector.any) ranges.push_back(rangeOf(value));
  if (ranges.empty()) ranges.push_back(all);
  for (const T& value : selector.none) ranges = without(ranges, rangeOf(value));
  return ranges;
}

template <class T>
bool covers(const Selector<T>& earlier, const Selector<T>& later) {
  if (earlier.empty()) return true;
  std::vector<Range> rest = allowed(later);
  for (const Range& taken : allowed(earlier)) rest = without(rest, taken);
  return rest.empty();
}

template <class T>
Leaves leavesOf(const Selector<T>& selector, const Range& all, const std::vector<Range>& groups) {
  std::vector<Range> rest = allowed(selector, all);
  if (rest.empty()) return Leaves::nothing;
  for (const Range& group : groups) rest = without(rest, group);
  return rest.empty() ? Leaves::groups : Leaves::something;
}

std::vector<Range> groupsOf(Family family) {
  if (family == Family::v6) return {rangeOf(*Prefix::parse("ff00::/8"))};
  return {rangeOf(*Prefix::parse("224.0.0.0/4")), rangeOf(*Prefix::parse("255.255.255.255/32"))};
}

/// `concerns` has seen to it that not all values are of the other family.
Selector<Prefix> ofFamily(Selector<Prefix> selector, Family family) {
  const auto isOther = [&](const Prefix& prefix) { return prefix.family() != family; };
  std::erase_if(selector.any, isOther);
  std::erase_if(selector.none, isOther);
  return selector;
}

}  // namespace

Leaves leavesOf(const Selector<Prefix>& selector, Family family) {
  const Selector<Prefix> part = ofFamily(selector, family);
  if (part.any.empty() && !selector.any.empty()) return Leaves::nothing;
  return leavesOf(part, rangeOf(Prefix::any(family)), groupsOf(family));
}

Leaves leavesOf(const Selector<MacAddress>& selector) {
  const auto isGroup = [](const MacAddress& mac) { return (mac[0] & 1U) != 0; };
  if (!selector.any.empty() && std::ranges::all_of(selector.any, isGroup)) return Leaves::groups;
  return leavesOf(selector, kAnything, {});
}

Leaves leavesOf(const Selector<PortRange>& selector) { return leavesOf(selector, rangeOf(1, 65535), {}); }

Leaves leavesOf(const Selector<std::uint8_t>& selector, std::uint8_t last) {
  return leavesOf(selector, rangeOf(0, last), {});
}

Origin originOf(const RuleConfig& rule) {
  const bool fromNeighbour = !rule.inputDevice.any.empty() || !rule.sourceMac.any.empty();
  return fromNeighbour ? Origin::forwarded : rule.origin;
}

bool isCatchAll(const RuleConfig& rule) {
  return rule.source.empty() && rule.destination.empty() && rule.sourcePort.empty() && rule.destinationPort.empty() &&
         rule.protocol.empty() && !rule.family && rule.inputDevice.empty() && rule.origin == Origin::any &&
         rule.sourceMac.empty() && rule.dscp.empty();
}

bool covers(const RuleConfig& earlier, const RuleConfig& later) {
  if (earlier.origin != Origin::any && earlier.origin != originOf(later)) return false;
  const bool sameInBoth = covers(earlier.sourcePort, later.sourcePort) &&
                          covers(earlier.destinationPort, later.destinationPort) &&
                          covers(earlier.protocol, later.protocol) && covers(earlier.inputDevice, later.inputDevice) &&
                          covers(earlier.sourceMac, later.sourceMac) && covers(earlier.dscp, later.dscp);
  return sameInBoth && std::ranges::all_of(kFamilies, [&](Family family) {
           if (!concerns(later, family)) return true;
           const auto inside = [&](const Selector<Prefix>& wide, const Selector<Prefix>& narrow) {
             return covers(ofFamily(wide, family), ofFamily(narrow, family));
           };
           return concerns(earlier, family) && inside(earlier.source, later.source) &&
                  inside(earlier.destination, later.destination);
         });
}

std::optional<std::size_t> coverOf(const std::vector<RuleConfig>& rules, std::size_t index) {
  for (std::size_t i = 0; i < index; ++i)
    if (covers(rules[i], rules[index])) return i;
  return std::nullopt;
}

}  // namespace wgsteer
