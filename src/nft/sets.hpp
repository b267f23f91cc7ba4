// SPDX-License-Identifier: GPL-2.0-or-later
// The sets and maps of the table and their elements in the kernel's encoding. core/nft_members.hpp defines what they
// mean.
//
// Keys: an interface name is padded with zeros to 16 bytes, a mark is in host byte order, everything else in network
// order; each component of a concatenation starts at a multiple of four bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/nft_sets.hpp"
#include "nft/datatype.hpp"
#include "nft/handles.hpp"

struct nlmsghdr;

namespace wgsteer::nft {

/// How the kernel describes a set. Types are nft(8)'s numbers: the kernel only stores them for nft.
struct SetShape {
  std::uint32_t flags = 0;  ///< NFT_SET_MAP and the like
  std::uint32_t keyType = 0;
  std::uint32_t keyLength = 0;
  ByteOrder keyOrder = ByteOrder::none;
  std::uint32_t dataType = 0;  ///< 0 unless it is a map
  std::uint32_t dataLength = 0;
  ByteOrder dataOrder = ByteOrder::none;
  std::uint32_t objectType = 0;  ///< NFT_OBJECT_COUNTER; 0: its values are not objects
  /// With intervals in a concatenation: the length of each component (pipapo, Linux 5.6 and later).
  std::vector<std::uint8_t> componentLengths{};
};
SetShape shapeOf(NftSetId id);

/// Whether the kernel would accept the device name in the key. All other names come from the kernel itself.
bool hasValidKey(const NftElement& element);

/// The value of an element in a verdict map; `chain` is null for verdicts that lead to none.
void putVerdict(nlmsghdr* message, int code, const char* chain);

/// Appends the element to the list that is open in the message; without its value for a deletion.
void encode(nlmsghdr* message, const NftElement& element, bool withValue);
/// nullopt if it is not what encode() produces. Without a value, it is an element that was encoded without one.
std::optional<NftElement> decode(NftSetId set, nftnl_set_elem* element);

}  // namespace wgsteer::nft
