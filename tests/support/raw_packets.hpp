// SPDX-License-Identifier: GPL-2.0-or-later
// Packets as bytes, and devices and sockets that take them. Each carries a number by which it is recognised.
#pragma once

#include <arpa/inet.h>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <optional>
#include <span>
#include <string_view>
#include <sys/ioctl.h>
#include <vector>

#include "wgsteer/core/explain_traffic.hpp"

#include "os/fd.hpp"

namespace wgsteer::test {

using PacketBytes = std::vector<std::uint8_t>;

namespace detail {

inline constexpr std::string_view kMagic = "wgst";
/// Of every protocol's header, so that what follows is at one place.
inline constexpr std::size_t kTransportSize = 20;
/// With what follows, and room for the whole of SCTP's first chunk.
inline constexpr std::size_t kBodySize = 48;

inline void put16(PacketBytes& bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8U);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

inline std::uint16_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(bytes[i] << 8U | bytes[i + 1]);
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

/// What conntrack takes for the beginning of a connection. Checksums that are not made here it must not look at.
inline PacketBytes transport(const FirstPacket& first, std::uint32_t number) {
  PacketBytes bytes(kTransportSize);
  const Packet& packet = first.packet;
  put16(bytes, 0, packet.sourcePort);
  put16(bytes, 2, packet.destination.port);
  switch (packet.protocol) {
    case IPPROTO_TCP:  // header length, SYN
      put16(bytes, 12, 0x5002);
      break;
    case IPPROTO_UDP:
      put16(bytes, 4, kBodySize);
      break;
    case IPPROTO_UDPLITE:  // some checksum
      put16(bytes, 6, 1);
      break;
    case IPPROTO_SCTP:  // a chunk INIT
      put16(bytes, 12, 0x0100);
      put16(bytes, 14, kBodySize - 12);
      break;
    case IPPROTO_DCCP:  // header length; a request with a long sequence number
      bytes[4] = kTransportSize / 4;
      bytes[8] = 1;
      break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      bytes[0] = packet.protocol == IPPROTO_ICMP ? 8 : 128;
      put16(bytes, 4, number);
      break;
    default:
      break;
  }
  bytes.insert(bytes.end(), kMagic.begin(), kMagic.end());
  for (const unsigned shift : {24U, 16U, 8U, 0U}) bytes.push_back(static_cast<std::uint8_t>(number >> shift));
  bytes.resize(kBodySize);
  return bytes;
}

inline PacketBytes header4(const FirstPacket& first, std::size_t size) {
  PacketBytes bytes(20);
  bytes[0] = 0x45;
  bytes[1] = static_cast<std::uint8_t>(first.dscp << 2U);
  put16(bytes, 2, static_cast<unsigned>(bytes.size() + size));
  bytes[5] = 1;  // identification: a raw socket replaces 0
  bytes[8] = 64;
  bytes[9] = first.packet.protocol;
  std::ranges::copy(first.packet.source->bytes(), bytes.begin() + 12);
  std::ranges::copy(first.packet.destination.address.bytes(), bytes.begin() + 16);
  put16(bytes, 10, checksum(bytes));
  return bytes;
}

inline PacketBytes header6(const FirstPacket& first, std::size_t size) {
  PacketBytes bytes(40);
  bytes[0] = static_cast<std::uint8_t>(0x60U | first.dscp >> 2U);
  bytes[1] = static_cast<std::uint8_t>(first.dscp << 6U);
  put16(bytes, 4, static_cast<unsigned>(size));
  bytes[6] = first.packet.protocol;
  bytes[7] = 64;
  std::ranges::copy(first.packet.source->bytes(), bytes.begin() + 8);
  std::ranges::copy(first.packet.destination.address.bytes(), bytes.begin() + 24);
  return bytes;
}

}  // namespace detail

inline PacketBytes bytesOf(const FirstPacket& first, std::uint32_t number) {
  const PacketBytes body = detail::transport(first, number);
  const bool v4 = first.packet.destination.address.family() == Family::v4;
  PacketBytes bytes = v4 ? detail::header4(first, body.size()) : detail::header6(first, body.size());
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

/// nullopt: it is none of ours.
inline std::optional<std::uint32_t> numberOf(const PacketBytes& packet) {
  if (packet.empty()) return std::nullopt;
  const std::size_t at = (packet[0] >> 4U == 4 ? 20U : 40U) + detail::kTransportSize;
  if (packet.size() < at + 8 || std::memcmp(packet.data() + at, detail::kMagic.data(), 4) != 0) return std::nullopt;
  std::uint32_t number = 0;
  for (std::size_t i = at + 4; i < at + 8; ++i) number = number << 8U | packet[i];
  return number;
}

/// A device whose other end we are: what we write arrives there.
class OwnDevice {
 public:
  enum class Kind : std::uint8_t { ip, ethernet };
  OwnDevice(const IfName& name, Kind kind) : kind_(kind), file_(::open("/dev/net/tun", O_RDWR | O_CLOEXEC)) {
    ifreq request{};
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    request.ifr_flags = static_cast<short>((kind == Kind::ip ? IFF_TUN : IFF_TAP) | IFF_NO_PI);
    EXPECT_EQ(::ioctl(file_.get(), TUNSETIFF, &request), 0) << name;
  }
  void arrive(const FirstPacket& first, std::uint32_t number) const {
    PacketBytes bytes;
    if (kind_ == Kind::ethernet) {
      bytes.assign(kOwnMac.begin(), kOwnMac.end());
      bytes.insert(bytes.end(), first.sourceMac->begin(), first.sourceMac->end());
      const bool v4 = first.packet.destination.address.family() == Family::v4;
      bytes.insert(bytes.end(),
                   {static_cast<std::uint8_t>(v4 ? 0x08 : 0x86), static_cast<std::uint8_t>(v4 ? 0 : 0xdd)});
    }
    const PacketBytes packet = bytesOf(first, number);
    bytes.insert(bytes.end(), packet.begin(), packet.end());
    EXPECT_EQ(::write(file_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  /// That an ethernet device has to have.
  static constexpr MacAddress kOwnMac{0x02, 0, 0, 0, 0, 0x01};

 private:
  Kind kind_;
  os::Fd file_;
};

struct RawAddress {
  sockaddr_in6 storage{};  ///< large enough for both families
  socklen_t length = sizeof(sockaddr_in);

  explicit RawAddress(const Address& address) {
    const auto bytes = address.bytes();
    sockaddr_in in{};
    in.sin_family = AF_INET;
    storage.sin6_family = AF_INET6;
    if (address.family() == Family::v6) {
      std::memcpy(&storage.sin6_addr, bytes.data(), bytes.size());
      length = sizeof storage;
      return;
    }
    std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&storage, &in, sizeof in);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// Sends it from this host. False: the kernel refused it.
inline bool sendHere(const FirstPacket& first, std::uint32_t number) {
  const bool v4 = first.packet.destination.address.family() == Family::v4;
  const os::Fd socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  const std::uint32_t mark = first.packet.mark.value;
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
  // The source in the packet is not that of the lookup of its route.
  const RawAddress source(*first.packet.source);
  EXPECT_EQ(::bind(socket.get(), source.get(), source.length), 0) << first.packet.source->toString();
  const PacketBytes bytes = bytesOf(first, number);
  const RawAddress to(first.packet.destination.address);
  return ::sendto(socket.get(), bytes.data(), bytes.size(), 0, to.get(), to.length) >= 0;
}

}  // namespace wgsteer::test
