// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/sets.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <libmnl/libmnl.h>
#include <span>
#include <string_view>
#include <utility>

#include "wgsteer/core/overload.hpp"

#include "netlink/kernel_headers.hpp"

namespace wgsteer::nft {

namespace {

/// The alignment of components in a concatenation.
constexpr std::uint32_t kAlignment = 4;

/// How one component of a key is encoded.
constexpr Datatype shapeOf(NftKeyPart part) {
  switch (part) {
    case NftKeyPart::device:
      return kDeviceType;
    case NftKeyPart::ipv4:
      return kIpv4Type;
    case NftKeyPart::ipv6:
    case NftKeyPart::prefix6:
      return kIpv6Type;
    case NftKeyPart::port:
    case NftKeyPart::sourcePort:
      return kPortType;
    case NftKeyPart::mark:
    case NftKeyPart::preferred:
    case NftKeyPart::written:
      return kMarkType;
    case NftKeyPart::none:
      break;
  }
  return {};
}

constexpr bool isConcatenation(const NftSet& set) { return set.key[1] != NftKeyPart::none; }

constexpr bool hasIntervals(const NftSet& set) {
  return std::ranges::find(set.key, NftKeyPart::prefix6) != set.key.end();
}

constexpr std::uint32_t aligned(std::uint32_t length) { return (length + kAlignment - 1) / kAlignment * kAlignment; }

void describeKey(const NftSet& set, SetShape& shape) {
  const bool several = isConcatenation(set);
  for (const NftKeyPart part : set.key) {
    if (part == NftKeyPart::none) break;
    const auto [type, length, order] = shapeOf(part);
    // nft packs the types of a concatenation six bits each.
    shape.keyType = shape.keyType << 6U | type;
    shape.keyLength += several ? aligned(length) : length;
    shape.keyOrder = several ? ByteOrder::none : order;
    if (hasIntervals(set)) shape.componentLengths.push_back(static_cast<std::uint8_t>(length));
  }
  if (hasIntervals(set)) shape.flags = std::uint32_t{NFT_SET_INTERVAL} | std::uint32_t{NFT_SET_CONCAT};
}

void describeAddresses(NftKeyPart family, SetShape& shape) {
  const Datatype address = shapeOf(family);
  shape.flags = NFT_SET_MAP;
  shape.dataType = address.number;
  shape.dataLength = address.length;
  shape.dataOrder = address.order;
}

}  // namespace

void putVerdict(nlmsghdr* message, int code, const char* chain) {
  nlattr* data = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
  nlattr* verdict = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);
  mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl(static_cast<std::uint32_t>(code)));
  if (chain != nullptr) mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN, chain);
  mnl_attr_nest_end(message, verdict);
  mnl_attr_nest_end(message, data);
}

SetShape shapeOf(NftSetId id) {
  const NftSet& set = nftSet(id);
  SetShape shape;
  describeKey(set, shape);
  switch (set.value) {
    case NftValueKind::none:
      break;
    case NftValueKind::ipv4:
      describeAddresses(NftKeyPart::ipv4, shape);
      break;
    case NftValueKind::ipv6:
      describeAddresses(NftKeyPart::ipv6, shape);
      break;
    case NftValueKind::verdict:
      shape.flags = NFT_SET_MAP;
      shape.dataType = NFT_DATA_VERDICT;
      break;
    case NftValueKind::counter:
      shape.flags = NFT_SET_OBJECT;
      shape.objectType = NFT_OBJECT_COUNTER;
      break;
  }
  return shape;
}

namespace {

/// The longest key: an IPv6 address and two ports, or a device and an IPv6 address.
using KeyBytes = std::array<std::uint8_t, kDeviceType.length + kIpv6Type.length>;

void put(std::span<const std::uint8_t> bytes, std::uint8_t* out) { std::ranges::copy(bytes, out); }

void putPort(std::uint16_t port, std::uint8_t* out) {
  out[0] = static_cast<std::uint8_t>(port >> 8U);
  out[1] = static_cast<std::uint8_t>(port & 0xffU);
}

std::uint16_t portAt(const std::uint8_t* in) { return static_cast<std::uint16_t>(in[0] << 8U | in[1]); }

void putPart(const NftKey& key, NftKeyPart part, std::uint8_t* out) {
  switch (part) {
    case NftKeyPart::device:
      std::ranges::copy(std::string_view{key.device}.substr(0, kMaxIfNameLength), out);
      break;
    case NftKeyPart::ipv4:
    case NftKeyPart::ipv6:
    case NftKeyPart::prefix6:
      put(key.address.bytes(), out);
      break;
    case NftKeyPart::port:
      putPort(key.port, out);
      break;
    case NftKeyPart::sourcePort:
      putPort(key.sourcePort, out);
      break;
    case NftKeyPart::mark:
      std::memcpy(out, &key.mark.value, sizeof key.mark.value);
      break;
    case NftKeyPart::preferred:
      std::memcpy(out, &key.before.preferred.until, sizeof key.before.preferred.until);
      break;
    case NftKeyPart::written:
      std::memcpy(out, &key.before.written, sizeof key.before.written);
      break;
    case NftKeyPart::none:
      break;
  }
}

/// False if the name does not end within the field, or is followed by anything other than zeros.
bool takeDevice(const std::uint8_t* in, IfName& device) {
  const std::span<const std::uint8_t> name{in, kDeviceType.length};
  const auto end = std::ranges::find(name, std::uint8_t{0});
  if (end == name.begin() || end == name.end()) return false;
  if (std::any_of(end, name.end(), [](std::uint8_t byte) { return byte != 0; })) return false;
  device.assign(name.begin(), end);
  return true;
}

bool takePart(const std::uint8_t* in, NftKeyPart part, NftKey& key) {
  switch (part) {
    case NftKeyPart::device:
      return takeDevice(in, key.device);
    case NftKeyPart::ipv4:
    case NftKeyPart::ipv6:
    case NftKeyPart::prefix6:
      key.address = *Address::fromBytes({in, shapeOf(part).length});
      break;
    case NftKeyPart::port:
      key.port = portAt(in);
      break;
    case NftKeyPart::sourcePort:
      key.sourcePort = portAt(in);
      break;
    case NftKeyPart::mark:
      std::memcpy(&key.mark.value, in, sizeof key.mark.value);
      break;
    case NftKeyPart::preferred:
      std::memcpy(&key.before.preferred.until, in, sizeof key.before.preferred.until);
      break;
    case NftKeyPart::written:
      std::memcpy(&key.before.written, in, sizeof key.before.written);
      break;
    case NftKeyPart::none:
      break;
  }
  return true;
}

/// Calls fn(part, offset) for each component; returns the length of the whole key.
template <class Fn>
std::uint32_t forEachPart(const NftSet& set, Fn fn) {
  std::uint32_t offset = 0;
  for (const NftKeyPart part : set.key) {
    if (part == NftKeyPart::none) break;
    fn(part, offset);
    const std::uint32_t length = shapeOf(part).length;
    offset += isConcatenation(set) ? aligned(length) : length;
  }
  return offset;
}

std::uint32_t putKey(const NftSet& set, const NftKey& key, KeyBytes& out) {
  return forEachPart(set, [&](NftKeyPart part, std::uint32_t offset) { putPart(key, part, out.data() + offset); });
}

/// `attribute` has nft's data: { NFTA_DATA_VALUE bytes }.
void putData(nlmsghdr* message, std::uint16_t attribute, std::span<const std::uint8_t> bytes) {
  nlattr* data = mnl_attr_nest_start(message, attribute);
  mnl_attr_put(message, NFTA_DATA_VALUE, bytes.size(), bytes.data());
  mnl_attr_nest_end(message, data);
}

void putValue(nlmsghdr* message, const NftElement& element) {
  std::visit(
      Overload{
          [](std::monostate) {},
          [&](const Address& address) { putData(message, NFTA_SET_ELEM_DATA, address.bytes()); },
          [&](const NftGoto& to) { putVerdict(message, NFT_GOTO, to.chain.c_str()); },
          [&](NftReturn) { putVerdict(message, NFT_RETURN, nullptr); },
          [&](const NftCounter& counter) { mnl_attr_put_strz(message, NFTA_SET_ELEM_OBJREF, counter.name.c_str()); },
      },
      element.value);
}

}  // namespace

bool hasValidKey(const NftElement& element) {
  const auto& parts = nftSet(element.set).key;
  const bool hasDevice = std::ranges::find(parts, NftKeyPart::device) != parts.end();
  return !hasDevice || (!element.key.device.empty() && element.key.device.size() <= kMaxIfNameLength);
}

// By hand: libnftnl allocates for each element, which cost half of a transaction that adds one.
void encode(nlmsghdr* message, const NftElement& element, bool withValue) {
  KeyBytes key{};
  const std::uint32_t length = putKey(nftSet(element.set), element.key, key);
  nlattr* out = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
  putData(message, NFTA_SET_ELEM_KEY, std::span{key}.first(length));
  if (hasIntervals(nftSet(element.set))) {
    NftKey last = element.key;
    last.address = Prefix{element.key.address, element.key.length}.last();
    putKey(nftSet(element.set), last, key);
    putData(message, NFTA_SET_ELEM_KEY_END, std::span{key}.first(length));
  }
  if (withValue) putValue(message, element);
  mnl_attr_nest_end(message, out);
}

namespace {

/// The attribute's bytes; empty unless it exists with exactly this length.
std::span<const std::uint8_t> bytesOf(nftnl_set_elem* element, std::uint16_t attribute, std::uint32_t length) {
  std::uint32_t actual = 0;
  const void* data = nftnl_set_elem_get(element, attribute, &actual);
  if (data == nullptr || actual != length) return {};
  return {static_cast<const std::uint8_t*>(data), length};
}

bool decodeVerdict(nftnl_set_elem* element, NftElement& decoded) {
  if (!nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_VERDICT)) return true;
  const int code = static_cast<int>(nftnl_set_elem_get_u32(element, NFTNL_SET_ELEM_VERDICT));
  const char* chain = nftnl_set_elem_get_str(element, NFTNL_SET_ELEM_CHAIN);
  if (code == NFT_RETURN) decoded.value = NftReturn{};
  if (code == NFT_GOTO && chain != nullptr) decoded.value = NftGoto{chain};
  return code == NFT_RETURN || code == NFT_GOTO;
}

bool decodeAddress(nftnl_set_elem* element, std::uint32_t length, NftElement& decoded) {
  if (!nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_DATA)) return true;
  const auto address = Address::fromBytes(bytesOf(element, NFTNL_SET_ELEM_DATA, length));
  if (address) decoded.value = *address;
  return address.has_value();
}

/// Decodes the value according to the kind of map; false if it is something else.
bool decodeValue(nftnl_set_elem* element, NftElement& decoded) {
  switch (nftSet(decoded.set).value) {
    case NftValueKind::ipv4:
      return decodeAddress(element, kIpv4Type.length, decoded);
    case NftValueKind::ipv6:
      return decodeAddress(element, kIpv6Type.length, decoded);
    case NftValueKind::verdict:
      return decodeVerdict(element, decoded);
    case NftValueKind::counter:
      if (const char* counter = nftnl_set_elem_get_str(element, NFTNL_SET_ELEM_OBJREF))
        decoded.value = NftCounter{counter};
      return true;
    case NftValueKind::none:
      break;
  }
  return true;
}

}  // namespace

namespace {

/// Of an interval that is a prefix; false if it is none.
bool takeLength(nftnl_set_elem* element, NftElement& decoded) {
  const NftSet& set = nftSet(decoded.set);
  const auto end = bytesOf(element, NFTNL_SET_ELEM_KEY_END, nft::shapeOf(decoded.set).keyLength);
  if (end.empty()) return false;
  NftKey last;
  bool valid = true;
  forEachPart(
      set, [&](NftKeyPart part, std::uint32_t offset) { valid = valid && takePart(end.data() + offset, part, last); });
  if (!valid || last.device != decoded.key.device) return false;
  for (std::uint8_t length = 0; length <= bitsOf(Family::v6); ++length) {
    const Prefix prefix{decoded.key.address, length};
    if (prefix.address() != decoded.key.address || prefix.last() != last.address) continue;
    decoded.key.length = length;
    return true;
  }
  return false;
}

}  // namespace

std::optional<NftElement> decode(NftSetId set, nftnl_set_elem* element) {
  const auto key = bytesOf(element, NFTNL_SET_ELEM_KEY, shapeOf(set).keyLength);
  if (key.empty()) return std::nullopt;
  NftElement decoded{.set = set};
  bool valid = true;
  forEachPart(nftSet(set), [&](NftKeyPart part, std::uint32_t offset) {
    valid = valid && takePart(key.data() + offset, part, decoded.key);
  });
  if (hasIntervals(nftSet(set))) valid = valid && takeLength(element, decoded);
  if (!valid || !decodeValue(element, decoded)) return std::nullopt;
  return decoded;
}

}  // namespace wgsteer::nft
