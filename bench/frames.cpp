// SPDX-License-Identifier: GPL-2.0-or-later
#include "frames.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cstdio>
#include <cstring>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

namespace wgsteer::bench {

namespace {

constexpr std::size_t kPacket = 100;
constexpr std::uint8_t kHops = 64;

/// Sum of the 16-bit words of an IPv4 header, RFC 1071.
std::uint16_t checksum(const iphdr& header) {
  std::array<std::uint16_t, sizeof header / 2> words{};
  std::memcpy(words.data(), &header, sizeof header);
  std::uint32_t sum = 0;
  for (const std::uint16_t word : words) sum += word;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

template <class T>
void append(Frame& frame, const T& header) {
  const auto* bytes = reinterpret_cast<const char*>(&header);
  frame.insert(frame.end(), bytes, bytes + sizeof header);
}

void copy(const Address& from, void* to) {
  const auto bytes = from.bytes();
  std::memcpy(to, bytes.data(), bytes.size());
}

void appendInternet4(Frame& frame, const Datagram& datagram) {
  iphdr header{};
  header.version = 4;
  header.ihl = sizeof header / 4;
  header.tot_len = ::htons(kPacket);
  header.ttl = kHops;
  header.protocol = IPPROTO_UDP;
  copy(datagram.source, &header.saddr);
  copy(datagram.destination, &header.daddr);
  header.check = checksum(header);
  append(frame, header);
}

void appendInternet6(Frame& frame, const Datagram& datagram) {
  ip6_hdr header{};
  header.ip6_flow = ::htonl(6U << 28U);
  header.ip6_plen = ::htons(kPacket - sizeof header);
  header.ip6_nxt = IPPROTO_UDP;
  header.ip6_hlim = kHops;
  copy(datagram.source, &header.ip6_src);
  copy(datagram.destination, &header.ip6_dst);
  append(frame, header);
}

}  // namespace

std::string textOf(const Mac& mac) {
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  return text;
}

Frame frameOf(const Datagram& datagram) {
  const bool v4 = datagram.source.family() == Family::v4;
  Frame frame;
  ethhdr link{};
  std::ranges::copy(datagram.to, link.h_dest);
  std::ranges::copy(datagram.from, link.h_source);
  link.h_proto = ::htons(v4 ? ETH_P_IP : ETH_P_IPV6);
  append(frame, link);
  v4 ? appendInternet4(frame, datagram) : appendInternet6(frame, datagram);
  udphdr header{};
  header.source = ::htons(datagram.sourcePort);
  header.dest = ::htons(datagram.destinationPort);
  header.len = ::htons(static_cast<std::uint16_t>(sizeof link + kPacket - frame.size()));
  append(frame, header);
  frame.resize(sizeof link + kPacket);
  return frame;
}

}  // namespace wgsteer::bench
