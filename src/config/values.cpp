// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/numbers.hpp"

#include "config/text.hpp"

namespace wgsteer::config {

namespace {

std::unexpected<std::string> wrong(std::string what) { return std::unexpected(std::move(what)); }

std::string_view nameOf(ValueType type) {
  switch (type) {
    case ValueType::untyped:
    case ValueType::text:
      return "a string";
    case ValueType::integer:
      return "an integer";
    case ValueType::number:
      return "a number";
    case ValueType::boolean:
      return "true or false";
    case ValueType::other:
      break;
  }
  return "something else";
}

std::unexpected<std::string> wrongType(const Value& value, std::string_view wanted) {
  const std::string is = value.type == ValueType::other ? value.text : std::string{nameOf(value.type)};
  return wrong("is " + is + ", must be " + std::string{wanted});
}

bool isText(const Value& value) { return value.type == ValueType::untyped || value.type == ValueType::text; }

Parsed<std::string_view> textOf(const Value& value) {
  if (!isText(value)) return wrongType(value, "a string");
  if (value.text.empty()) return wrong("is empty");
  return value.text;
}

template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
  T parsed{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed, base);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return parsed;
}

/// A number of one byte, also where the format has no quotation marks around it.
std::optional<std::uint8_t> byteIn(const Value& value, std::uint8_t high) {
  if (value.type != ValueType::integer && !isText(value)) return std::nullopt;
  const auto parsed = number<std::uint8_t>(value.text);
  return parsed && *parsed <= high ? parsed : std::nullopt;
}

struct NamedNumber {
  std::string_view name;
  std::uint8_t number;
};

/// Those of /etc/protocols that a gateway sees. Built in: OpenWrt has that file, a container may not.
constexpr auto kProtocols = std::to_array<NamedNumber>({
    {"icmp", 1},   {"igmp", 2},   {"ipencap", 4}, {"tcp", 6},       {"udp", 17},       {"dccp", 33},
    {"ipv6", 41},  {"rsvp", 46},  {"gre", 47},    {"esp", 50},      {"ah", 51},        {"icmpv6", 58},
    {"eigrp", 88}, {"ospf", 89},  {"ipip", 94},   {"etherip", 97},  {"pim", 103},      {"ipcomp", 108},
    {"vrrp", 112}, {"l2tp", 115}, {"sctp", 132},  {"udplite", 136}, {"ipv6-icmp", 58},
});

/// RFC 2474, 2597, 3246, 5865, 8622.
constexpr auto kDscps = std::to_array<NamedNumber>({
    {"cs0", 0},   {"be", 0},    {"le", 1},    {"lephb", 1}, {"cs1", 8},   {"af11", 10}, {"af12", 12},
    {"af13", 14}, {"cs2", 16},  {"af21", 18}, {"af22", 20}, {"af23", 22}, {"cs3", 24},  {"af31", 26},
    {"af32", 28}, {"af33", 30}, {"cs4", 32},  {"af41", 34}, {"af42", 36}, {"af43", 38}, {"cs5", 40},
    {"va", 44},   {"ef", 46},   {"cs6", 48},  {"cs7", 56},
});

template <std::size_t kSize>
std::optional<std::uint8_t> numberOf(const std::array<NamedNumber, kSize>& known, std::string_view name) {
  const auto found = std::ranges::find(known, name, &NamedNumber::name);
  return found == known.end() ? std::nullopt : std::optional{found->number};
}

template <std::size_t kSize>
std::string didYouMeanOne(const std::array<NamedNumber, kSize>& known, std::string_view name) {
  std::vector<std::string> names;
  for (const NamedNumber& each : known) names.emplace_back(each.name);
  return didYouMean(name, names);
}

bool isAsciiLetter(char letter) { return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'); }
bool isDigit(char letter) { return letter >= '0' && letter <= '9'; }

}  // namespace

bool isHostName(std::string_view host) {
  constexpr std::size_t kMaxName = 253;
  constexpr std::size_t kMaxLabel = 63;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > kMaxName) return false;
  const auto labels = split(host, '.');
  for (const std::string_view label : labels) {
    if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-') return false;
    if (!std::ranges::all_of(label, [](char c) { return isAsciiLetter(c) || isDigit(c) || c == '-' || c == '_'; }))
      return false;
  }
  // No top-level domain is a number: this is a mistyped IPv4 address.
  return !std::ranges::all_of(labels.back(), isDigit);
}

Parsed<std::string> parseName(const Value& value) {
  constexpr std::size_t kMaxName = 32;
  const auto text = textOf(value);
  if (!text) return wrong(text.error());
  const bool valid = text->size() <= kMaxName && std::ranges::all_of(*text, [](char c) {
                       return isAsciiLetter(c) || isDigit(c) || c == '_' || c == '-' || c == '.';
                     });
  if (!valid || text->front() == '-')
    return wrong(inQuotes(*text) +
                 " is not a valid name: use letters, digits, '_', '-' and '.', at most 32, not starting with '-'");
  return std::string{*text};
}

Parsed<IfName> parseIfName(const Value& value) {
  const auto text = textOf(value);
  if (!text) return wrong(text.error());
  if (text->size() > kMaxIfNameLength)
    return wrong(inQuotes(*text) + " has more than " + std::to_string(kMaxIfNameLength) +
                 " characters, too long for an interface name");
  // The kernel's isspace() treats 0xa0 as a blank, even inside UTF-8. It would accept control characters, but a log
  // should not. It also accepts bytes that are not text, which our configuration cannot express (netifd's can).
  const bool valid = *text != "." && *text != ".." && !badText(*text) && std::ranges::none_of(*text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte == 0x7f || byte == 0xa0 || c == '/' || c == ':';
  });
  if (!valid) return wrong(inQuotes(*text) + " is not an interface name: spaces, '/' and ':' are not allowed");
  return IfName{*text};
}

Parsed<std::int64_t> parseInteger(const Value& value, std::int64_t low, std::int64_t high) {
  if (value.type != ValueType::integer && value.type != ValueType::untyped) return wrongType(value, "an integer");
  const std::string range = std::to_string(low) + ".." + std::to_string(high);
  const auto parsed = number<std::int64_t>(value.text);
  if (!parsed) return wrong(inQuotes(value.text) + " is not an integer, allowed: " + range);
  if (*parsed < low || *parsed > high) return wrong(value.text + " is out of range, allowed: " + range);
  return *parsed;
}

Parsed<Duration> parseSeconds(const Value& value, double low, double high) {
  if (value.type == ValueType::text || value.type == ValueType::boolean || value.type == ValueType::other)
    return wrongType(value, "a number of seconds");
  // Not from_chars, whose tables make up a tenth of the program when libstdc++ is linked statically. What else strtod
  // accepts is refused: leading blanks, a plus sign, hexadecimal.
  char* stop = nullptr;
  const double parsed = std::strtod(value.text.c_str(), &stop);
  const bool plain = !value.text.empty() && std::strchr(" \t\n\v\f\r+", value.text.front()) == nullptr &&
                     value.text.find_first_of("xX") == std::string::npos;
  if (!plain || stop != value.text.c_str() + value.text.size())
    return wrong(inQuotes(value.text) + " is not a number of seconds");
  // Not the other way round: nan is neither.
  if (parsed >= low && parsed <= high) return fromSeconds(parsed);
  const auto textOf = [](double bound) {
    std::array<char, 32> digits{};
    std::snprintf(digits.data(), digits.size(), "%.10g", bound);
    return std::string{digits.data()};
  };
  return wrong(inQuotes(value.text) + " is out of range, allowed: " + textOf(low) + ".." + textOf(high) + " seconds");
}

Parsed<bool> parseBoolean(const Value& value) {
  constexpr auto kTrue = std::to_array<std::string_view>({"1", "true", "yes", "on", "enabled"});
  constexpr auto kFalse = std::to_array<std::string_view>({"0", "false", "no", "off", "disabled"});
  if (value.type != ValueType::boolean && value.type != ValueType::untyped) return wrongType(value, "true or false");
  if (std::ranges::find(kTrue, value.text) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, value.text) != kFalse.end()) return false;
  return wrong(inQuotes(value.text) + " is neither true nor false");
}

Parsed<std::uint32_t> parseMarkMask(const Value& value) {
  constexpr std::string_view kAllowed = ", allowed: 2 to 16 contiguous bits, like \"0xf0000000\"";
  if (value.type != ValueType::integer && !isText(value))
    return wrongType(value, "a string like \"0xf0000000\" or an integer");
  if (value.text.empty()) return wrong("is empty" + std::string{kAllowed});
  const std::string_view text = value.text;
  const bool isHex = text.starts_with("0x") || text.starts_with("0X");
  const auto mask = isHex ? number<std::uint32_t>(text.substr(2), 16) : number<std::uint32_t>(text);
  if (!mask) return wrong(inQuotes(text) + " is not a 32-bit number" + std::string{kAllowed});
  if (!validMarkMask(*mask)) return wrong(hex(*mask) + " is not a usable mask" + std::string{kAllowed});
  return *mask;
}

Parsed<std::size_t> parseChoice(const Value& value, std::string_view choices) {
  const auto text = textOf(value);
  const auto names = split(choices, '|');
  std::string allowed;
  for (const std::string_view name : names) allowed += (allowed.empty() ? "" : " | ") + std::string{name};
  if (!text) return wrong(text.error() + ", allowed: " + allowed);
  const auto found = std::ranges::find(names, *text);
  if (found == names.end()) return wrong(inQuotes(*text) + " is unknown, allowed: " + allowed);
  return static_cast<std::size_t>(found - names.begin());
}

Parsed<Address> parseAddress(const Value& value) {
  const auto text = textOf(value);
  if (!text) return wrong(text.error());
  const auto address = Address::parse(*text);
  if (!address) return wrong(inQuotes(*text) + " is neither an IPv4 nor an IPv6 address");
  return *address;
}

Parsed<Address> parseGateway(const Value& value) {
  auto address = parseAddress(value);
  if (address && (address->isUnspecified() || address->isLoopback() || address->isMulticast()))
    return wrong(inQuotes(value.text) + " cannot be the address of a router");
  return address;
}

Parsed<Endpoint> parseTrackIp(const Value& value) {
  const auto text = textOf(value);
  if (!text) return wrong(text.error());
  // The address first: 2620:fe::fe:53 is an address as a whole.
  if (const auto address = Address::parse(*text)) return Endpoint{*address, 0};
  const auto endpoint = Endpoint::parse(*text);
  if (!endpoint || endpoint->port == 0)
    return wrong(inQuotes(*text) + " is neither an IPv4 nor an IPv6 address (for tcp and dns: or address:port)");
  return *endpoint;
}

Parsed<PublicKey> parsePublicKey(const Value& value) {
  const auto text = textOf(value);
  if (!text) return wrong(text.error());
  const auto key = PublicKey::parse(*text);
  if (!key) return wrong("is not a WireGuard public key: 44 characters of base64, as `wg` shows it");
  return *key;
}

Parsed<HostPort> parseEndpoint(const Value& value) {
  const auto text = textOf(value);
  if (!text) return wrong(text.error());
  const auto colon = text->rfind(':');
  const std::string_view host = text->substr(0, colon == std::string_view::npos ? 0 : colon);
  const auto port = number<std::uint16_t>(colon == std::string_view::npos ? "" : text->substr(colon + 1));
  const auto numeric = Endpoint::parse(*text);
  if (!port || *port == 0 || !(isHostName(host) || numeric))
    return wrong(inQuotes(*text) + " is not an endpoint, allowed: host:port or [IPv6]:port, port 1..65535");
  return HostPort{numeric ? Host{numeric->address} : Host{std::string{host}}, *port};
}

Parsed<Member> parseMember(const Value& value) {
  constexpr std::string_view kAllowed = ", allowed: WAN, WAN:METRIC or WAN:METRIC:WEIGHT";
  const auto text = textOf(value);
  if (!text) return wrong(text.error() + std::string{kAllowed});
  const auto parts = split(*text, ':');
  if (parts.size() > 3) return wrong(inQuotes(*text) + " has too many parts" + std::string{kAllowed});
  const auto name = parseName({ValueType::text, std::string{parts[0]}, value.line});
  if (!name) return wrong(name.error() + std::string{kAllowed});
  Member member{.wan = *name, .metric = {}, .weight = {}};
  if (parts.size() > 1) {
    const auto metric = parseInteger({ValueType::untyped, std::string{parts[1]}, value.line}, kMinMetric, kMaxMetric);
    if (!metric) return wrong("metric of " + inQuotes(*text) + ": " + metric.error());
    member.metric = static_cast<std::uint32_t>(*metric);
  }
  if (parts.size() > 2) {
    const auto weight = parseInteger({ValueType::untyped, std::string{parts[2]}, value.line}, 1, kMaxWeight);
    if (!weight) return wrong("weight of " + inQuotes(*text) + ": " + weight.error());
    member.weight = static_cast<std::uint32_t>(*weight);
  }
  return member;
}

Parsed<TableId> parseInsideTable(const Value& value) {
  constexpr std::int64_t kHighest = 0xffffffff;
  if (value.type != ValueType::integer && value.type != ValueType::untyped) return wrongType(value, "an integer");
  const auto parsed = number<std::int64_t>(value.text);
  if (!parsed || *parsed < 1 || *parsed > kHighest)
    return wrong(inQuotes(value.text) + " is not a table, allowed: a number of 1 to " + std::to_string(kHighest));
  const TableId table{static_cast<std::uint32_t>(*parsed)};
  if (table == kMainTable) return wrong("the main table (254) is always included");
  if (table == kLocalTable || table == kDefaultTable)
    return wrong(value.text + " is a table of the kernel's own, without inside routes");
  if (isOurTable(table)) return wrong(value.text + " is one of wgsteer's own tables");
  return table;
}

Entry<Value> parseExclusion(const Value& value) {
  if (!isText(value) || !value.text.starts_with('!')) return {.excluded = false, .value = value};
  return {.excluded = true, .value = {value.type, value.text.substr(1), value.line}};
}

Parsed<Prefix> parsePrefix(const Value& value) {
  const auto text = textOf(value);
  if (!text) return wrong(text.error());
  const auto prefix = Prefix::parse(*text);
  if (!prefix) return wrong(inQuotes(*text) + " is neither an address nor a prefix like 192.0.2.0/24 or 2001:db8::/32");
  return *prefix;
}

Parsed<Prefix> parsePrefix6(const Value& value) {
  const auto prefix = parsePrefix(value);
  if (!prefix) return wrong(prefix.error());
  const Address& first = prefix->address();
  const bool ofHosts = prefix->family() == Family::v6 && !prefix->isDefault() && !first.isLinkLocal() &&
                       !first.isLoopback() && !first.isMulticast() && !first.isUnspecified();
  if (!ofHosts) return wrong(inQuotes(value.text) + " is not a prefix of IPv6 addresses like 2001:db8:1::/56");
  return *prefix;
}

Parsed<PortRange> parsePorts(const Value& value) {
  if (value.type != ValueType::integer && !isText(value)) return wrongType(value, "a port or a range of ports");
  const auto bounds = split(value.text, '-');
  const auto first = number<std::uint16_t>(bounds.front());
  const auto last = number<std::uint16_t>(bounds.back());
  if (!first || !last || *first == 0 || *last < *first || bounds.size() > 2)
    return wrong(inQuotes(value.text) + " is not a port or a range like 1000-2000, allowed: 1..65535");
  return PortRange{*first, *last};
}

Parsed<std::optional<std::uint8_t>> parseProtocol(const Value& value) {
  if (value.type != ValueType::integer && !isText(value)) return wrongType(value, "a protocol");
  if (value.text == "all" || value.text == "any") return std::optional<std::uint8_t>{};
  if (const auto byte = byteIn(value, 255)) return byte;
  if (const auto known = numberOf(kProtocols, value.text)) return known;
  return wrong(inQuotes(value.text) + " is not a protocol, allowed: a name like tcp, or 0..255" +
               didYouMeanOne(kProtocols, value.text));
}

Parsed<MacAddress> parseMac(const Value& value) {
  const auto text = textOf(value);
  if (!text) return wrong(text.error());
  const auto parts = split(*text, ':');
  MacAddress mac{};
  bool valid = parts.size() == mac.size();
  for (std::size_t i = 0; valid && i < mac.size(); ++i) {
    const auto byte = parts[i].size() == 2 ? number<std::uint8_t>(parts[i], 16) : std::nullopt;
    valid = byte.has_value();
    mac[i] = byte.value_or(0);
  }
  if (!valid) return wrong(inQuotes(*text) + " is not a hardware address like 02:00:5e:00:53:01");
  return mac;
}

Parsed<std::uint8_t> parseDscp(const Value& value) {
  constexpr std::uint8_t kHighest = 63;
  if (value.type != ValueType::integer && !isText(value)) return wrongType(value, "a DSCP");
  if (const auto byte = byteIn(value, kHighest)) return *byte;
  if (const auto known = numberOf(kDscps, value.text)) return *known;
  return wrong(inQuotes(value.text) + " is not a DSCP, allowed: 0..63, cs0 to cs7, af11 to af43, ef, be, va, le" +
               didYouMeanOne(kDscps, value.text));
}

}  // namespace wgsteer::config
