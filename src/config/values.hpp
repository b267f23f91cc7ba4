// SPDX-License-Identifier: GPL-2.0-or-later
// Parses single values: each function returns the value, or what is wrong and what is allowed.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/config.hpp"
#include "wgsteer/core/host_port.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/route.hpp"
#include "wgsteer/core/time.hpp"

#include "config/sections.hpp"

namespace wgsteer::config {

/// The weight of a next hop is one byte in the kernel, which counts from 0.
inline constexpr std::uint32_t kMaxWeight = 256;

template <class T>
using Parsed = std::expected<T, std::string>;

/// Letters, digits, '-' and '_' in labels of at most 63, 253 in all; not a mistyped IPv4 address.
bool isHostName(std::string_view host);
/// Name of a WAN or policy: something that can be typed in a shell and used as the label of a metric, without ':' and
/// '+', which lists use.
Parsed<std::string> parseName(const Value& value);
/// As the kernel's dev_valid_name().
Parsed<IfName> parseIfName(const Value& value);
Parsed<std::int64_t> parseInteger(const Value& value, std::int64_t low, std::int64_t high);
Parsed<Duration> parseSeconds(const Value& value, double low, double high);
Parsed<bool> parseBoolean(const Value& value);
/// "0xf0000000" or an integer; valid according to validMarkMask().
Parsed<std::uint32_t> parseMarkMask(const Value& value);
/// Index of the value in "keep|flush".
Parsed<std::size_t> parseChoice(const Value& value, std::string_view choices);
Parsed<Address> parseAddress(const Value& value);
/// An address that a router can have.
Parsed<Address> parseGateway(const Value& value);
/// An address, with port 0, or address:port.
Parsed<Endpoint> parseTrackIp(const Value& value);
/// The error never quotes the text: it may be a private key in the wrong place.
Parsed<PublicKey> parsePublicKey(const Value& value);
/// host:port, [v6]:port; port 1..65535.
Parsed<HostPort> parseEndpoint(const Value& value);

/// "lte", "lte:20", "lte:20:3".
struct Member {
  std::string wan;
  std::optional<std::uint32_t> metric;
  std::optional<std::uint32_t> weight;
};
Parsed<Member> parseMember(const Value& value);

/// Of IPv6, as one that a provider delegates or that a LAN has.
Parsed<Prefix> parsePrefix6(const Value& value);
/// A routing table that may have inside routes: not one of the kernel's own, and not one of ours.
Parsed<TableId> parseInsideTable(const Value& value);

// What a rule may ask of a packet.

/// An entry of such a list: "!lan" excludes what "lan" selects.
template <class T>
struct Entry {
  bool excluded = false;
  T value{};
};
/// The value without its "!", and whether it had one.
Entry<Value> parseExclusion(const Value& value);
/// "192.0.2.0/24", or an address; of either family.
Parsed<Prefix> parsePrefix(const Value& value);
/// "443" or "1000-2000".
Parsed<PortRange> parsePorts(const Value& value);
/// A name of /etc/protocols or a number; nullopt: "all".
Parsed<std::optional<std::uint8_t>> parseProtocol(const Value& value);
Parsed<MacAddress> parseMac(const Value& value);
/// A number or a name: cs0 to cs7, af11 to af43, ef, be, va, le.
Parsed<std::uint8_t> parseDscp(const Value& value);

}  // namespace wgsteer::config
