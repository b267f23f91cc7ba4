// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/traffic_sets.hpp"

#include <algorithm>
#include <libmnl/libmnl.h>

#include "core/nft_sets.hpp"
#include "netlink/kernel_headers.hpp"

namespace wgsteer::nft {

namespace {

/// In enum datatypes of nftables' include/datatype.h.
constexpr Datatype shapeOf(TrafficField field) {
  switch (field) {
    case TrafficField::inputDevice:
      return kDeviceType;
    case TrafficField::source4:
    case TrafficField::destination4:
      return kIpv4Type;
    case TrafficField::source6:
    case TrafficField::destination6:
      return kIpv6Type;
    case TrafficField::sourcePort:
    case TrafficField::destinationPort:
      return kPortType;
    case TrafficField::protocol:
      return kProtocolType;
    case TrafficField::sourceMac:
      return kEtherType;
    case TrafficField::mark:
      break;
  }
  return kMarkType;
}

/// Addresses and ports may be ranges.
constexpr bool mayBeRanges(TrafficField field) {
  const Datatype type = shapeOf(field);
  return type.number == kIpv4Type.number || type.number == kIpv6Type.number || type.number == kPortType.number;
}

/// Single values lie in a hash table, which the kernel searches faster than a tree of intervals.
bool hasIntervals(const TrafficSet& set) {
  return mayBeRanges(set.field) &&
         std::ranges::any_of(set.ranges, [](const TrafficRange& range) { return range.first != range.last; });
}

/// The next value; empty: there is none.
std::vector<std::uint8_t> after(std::vector<std::uint8_t> value) {
  for (std::size_t i = value.size(); i-- > 0;)
    if (++value[i] != 0) return value;
  return {};
}

std::span<const std::uint8_t> dataOf(nftnl_set_elem* element, std::uint16_t attribute) {
  std::uint32_t length = 0;
  const void* data = nftnl_set_elem_get(element, attribute, &length);
  if (data == nullptr) return {};
  return {static_cast<const std::uint8_t*>(data), length};
}

}  // namespace

SetShape shapeOf(const TrafficSet& set) {
  const Datatype field = shapeOf(set.field);
  SetShape shape{.flags = 0, .keyType = field.number, .keyLength = field.length, .keyOrder = field.order};
  if (hasIntervals(set)) shape.flags |= NFT_SET_INTERVAL;
  if (set.remembers) shape.flags |= std::uint32_t{NFT_SET_TIMEOUT} | std::uint32_t{NFT_SET_EVAL};
  if (set.map) {
    shape.flags |= NFT_SET_MAP;
    shape.dataType = NFT_DATA_VERDICT;
  }
  return shape;
}

std::vector<TrafficElement> elementsOf(const TrafficSet& set) {
  const Datatype field = shapeOf(set.field);
  const bool intervals = hasIntervals(set);
  std::vector<TrafficElement> elements;
  for (const TrafficRange& range : set.ranges) {
    std::vector<std::uint8_t> key = range.first;
    key.resize(field.length);  // device names end with zeros
    elements.push_back({.key = std::move(key), .endsInterval = false, .chain = range.chain});
    if (!intervals) continue;
    // Also where the next interval begins there: the kernel (6.18) takes that one for an overlap otherwise.
    auto end = after(range.last);
    if (!end.empty()) elements.push_back({.key = std::move(end), .endsInterval = true, .chain = {}});
  }
  return elements;
}

void encode(nlmsghdr* message, const TrafficElement& element) {
  nlattr* out = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
  if (element.endsInterval) mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
  nlattr* key = mnl_attr_nest_start(message, NFTA_SET_ELEM_KEY);
  mnl_attr_put(message, NFTA_DATA_VALUE, element.key.size(), element.key.data());
  mnl_attr_nest_end(message, key);
  if (!element.chain.empty()) putVerdict(message, NFT_GOTO, element.chain.c_str());
  mnl_attr_nest_end(message, out);
}

std::string canonicalText(std::string_view name, const SetShape& shape) {
  return std::string{name} + " " + std::to_string(shape.flags) + " " + std::to_string(shape.keyType) + " " +
         std::to_string(shape.keyLength) + " " + std::to_string(shape.dataType);
}

std::string canonicalText(const TrafficElement& element) {
  return hexBytes(element.key) + (element.endsInterval ? "]" : "") + ":" + element.chain;
}

std::optional<SetShape> trafficShapeOf(const nftnl_set* set) {
  const auto number = [&](std::uint16_t attribute) {
    return nftnl_set_is_set(set, attribute) ? nftnl_set_get_u32(set, attribute) : 0;
  };
  SetShape shape{
      .flags = number(NFTNL_SET_FLAGS), .keyType = number(NFTNL_SET_KEY_TYPE), .keyLength = number(NFTNL_SET_KEY_LEN)};
  shape.dataType = number(NFTNL_SET_DATA_TYPE);
  if (number(NFTNL_SET_OBJ_TYPE) != 0) return std::nullopt;
  return shape;
}

std::optional<TrafficElement> trafficElementOf(nftnl_set_elem* element) {
  const auto key = dataOf(element, NFTNL_SET_ELEM_KEY);
  if (key.empty()) return std::nullopt;
  TrafficElement taken{.key = {key.begin(), key.end()}, .endsInterval = false, .chain = {}};
  if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_FLAGS))
    taken.endsInterval = (nftnl_set_elem_get_u32(element, NFTNL_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END) != 0;
  if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_VERDICT)) {
    const char* chain = nftnl_set_elem_get_str(element, NFTNL_SET_ELEM_CHAIN);
    const bool leads = static_cast<int>(nftnl_set_elem_get_u32(element, NFTNL_SET_ELEM_VERDICT)) == NFT_GOTO;
    if (!leads || chain == nullptr) return std::nullopt;
    taken.chain = chain;
  }
  return taken;
}

bool isTrafficSetName(std::string_view name) {
  return name.starts_with(kRulePrefix) || name.starts_with(kMapPrefix) ||
         std::ranges::find(kProgramMaps, name) != kProgramMaps.end();
}

}  // namespace wgsteer::nft
