// SPDX-License-Identifier: GPL-2.0-or-later
// The types of keys and values of sets, by nft(8)'s numbers (enum datatypes in nftables' include/datatype.h): the
// kernel only stores them, for nft to print.
#pragma once

#include <cstdint>

namespace wgsteer::nft {

/// nft's enum byteorder: without it a port is printed with its bytes swapped.
enum class ByteOrder : std::uint32_t { none = 0, host = 1, network = 2 };

struct Datatype {
  std::uint32_t number = 0;
  std::uint32_t length = 0;  ///< in bytes
  ByteOrder order = ByteOrder::none;
};

inline constexpr Datatype kIpv4Type{7, 4, ByteOrder::network};
inline constexpr Datatype kIpv6Type{8, 16, ByteOrder::network};
inline constexpr Datatype kEtherType{9, 6, ByteOrder::network};
inline constexpr Datatype kProtocolType{12, 1, ByteOrder::network};
inline constexpr Datatype kPortType{13, 2, ByteOrder::network};
inline constexpr Datatype kMarkType{19, 4, ByteOrder::host};
inline constexpr Datatype kDeviceType{41, 16, ByteOrder::host};

}  // namespace wgsteer::nft
