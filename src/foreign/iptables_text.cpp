// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/iptables_text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <utility>

#include "config/text.hpp"
#include "config/values.hpp"

namespace wgsteer::foreign {

namespace {

using namespace std::string_view_literals;

/// The usual /etc/protocols and what libxtables has built in. 255 stands for any other one.
constexpr std::array kProtocols{
    std::pair{"all"sv, 0},         std::pair{"ip"sv, 0},          std::pair{"icmp"sv, 1},
    std::pair{"igmp"sv, 2},        std::pair{"ggp"sv, 3},         std::pair{"ipencap"sv, 4},
    std::pair{"st"sv, 5},          std::pair{"tcp"sv, 6},         std::pair{"egp"sv, 8},
    std::pair{"igp"sv, 9},         std::pair{"pup"sv, 12},        std::pair{"udp"sv, 17},
    std::pair{"hmp"sv, 20},        std::pair{"xns-idp"sv, 22},    std::pair{"rdp"sv, 27},
    std::pair{"iso-tp4"sv, 29},    std::pair{"dccp"sv, 33},       std::pair{"xtp"sv, 36},
    std::pair{"ddp"sv, 37},        std::pair{"idpr-cmtp"sv, 38},  std::pair{"ipv6"sv, 41},
    std::pair{"ipv6-route"sv, 43}, std::pair{"ipv6-frag"sv, 44},  std::pair{"idrp"sv, 45},
    std::pair{"rsvp"sv, 46},       std::pair{"gre"sv, 47},        std::pair{"esp"sv, 50},
    std::pair{"ipsec-esp"sv, 50},  std::pair{"ah"sv, 51},         std::pair{"ipsec-ah"sv, 51},
    std::pair{"skip"sv, 57},       std::pair{"ipv6-icmp"sv, 58},  std::pair{"icmpv6"sv, 58},
    std::pair{"icmp6"sv, 58},      std::pair{"ipv6-nonxt"sv, 59}, std::pair{"ipv6-opts"sv, 60},
    std::pair{"rspf"sv, 73},       std::pair{"vmtp"sv, 81},       std::pair{"eigrp"sv, 88},
    std::pair{"ospf"sv, 89},       std::pair{"ospfigp"sv, 89},    std::pair{"ax.25"sv, 93},
    std::pair{"ipip"sv, 94},       std::pair{"etherip"sv, 97},    std::pair{"encap"sv, 98},
    std::pair{"pim"sv, 103},       std::pair{"ipcomp"sv, 108},    std::pair{"vrrp"sv, 112},
    std::pair{"l2tp"sv, 115},      std::pair{"isis"sv, 124},      std::pair{"sctp"sv, 132},
    std::pair{"fc"sv, 133},        std::pair{"ipv6-mh"sv, 135},   std::pair{"mh"sv, 135},
    std::pair{"udplite"sv, 136},   std::pair{"hip"sv, 139},
};

/// strtoul(3) with base 0: 51820, 0xca6c, 0145154.
std::optional<std::uint32_t> number(std::string_view text, std::uint32_t most) {
  if (text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text.starts_with('0')) {
    base = 8;
  }
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// What may be in /etc/services.
bool isServiceName(std::string_view text) {
  return std::ranges::any_of(text, isLetter) && std::ranges::all_of(text, [](char c) {
           return isLetter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '+' || c == '/';
         });
}

std::string wrongPort(std::string_view text) {
  const bool range = text.find('-') != std::string_view::npos && text.find_first_not_of("0123456789-") == text.npos;
  if (text.empty()) return "has a comma or colon without a port next to it";
  if (range) return config::inQuotes(text) + " is not a range: iptables writes ranges with ':'";
  return config::inQuotes(text) + " is not a port: 0..65535";
}

class PortReader {
 public:
  PortList read(std::string_view text) {
    constexpr std::size_t kMaxSlots = 15;
    std::size_t slots = 0;
    for (const std::string_view part : config::split(text, ',')) {
      const auto colon = part.find(':');
      slots += colon == std::string_view::npos ? 1U : 2U;
      const auto low = port(part.substr(0, colon));
      const auto high = colon == std::string_view::npos ? low : port(part.substr(colon + 1));
      if (low && high) list_.ranges.push_back({*low, *high});
      if (low && high && colon != std::string_view::npos && *low >= *high)
        refuse(config::inQuotes(part) + " is a descending range");
    }
    if (slots > kMaxSlots) refuse("has more than 15 ports (a range counts twice)");
    return std::move(list_);
  }

 private:
  std::optional<std::uint16_t> port(std::string_view text) {
    if (const auto known = number(text, 65535)) return static_cast<std::uint16_t>(*known);
    if (isServiceName(text))
      list_.names.emplace_back(text);
    else
      refuse(wrongPort(text));
    return std::nullopt;
  }
  void refuse(std::string why) {
    if (list_.wrong.empty()) list_.wrong = std::move(why);
  }

  PortList list_;
};

/// "10.0.0.1", "0x0a.0.0.1"; an address may omit its last octets, a mask may not.
std::optional<Address> dotted(std::string_view text, bool whole) {
  const auto parts = config::split(text, '.');
  if (parts.size() > 4 || (whole && parts.size() != 4)) return std::nullopt;
  std::array<std::uint8_t, 4> octets{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto octet = number(parts[i], 255);
    if (!octet) return std::nullopt;
    octets.at(i) = static_cast<std::uint8_t>(*octet);
  }
  return Address::fromBytes(octets);
}

std::optional<Address> ofFamily(std::optional<Address> address, Family family) {
  return address && address->family() == family ? address : std::nullopt;
}

Address maskOf(Family family, std::uint32_t length) {
  std::array<std::uint8_t, 16> ones{};
  ones.fill(0xff);
  const auto all = Address::fromBytes(std::span{ones}.first(bitsOf(family) / 8U));
  return all->truncated(static_cast<std::uint8_t>(length));
}

std::optional<Address> parseMask(std::string_view text, Family family) {
  const auto written = family == Family::v4 ? dotted(text, true) : ofFamily(Address::parse(text), family);
  if (written) return written;
  const auto length = number(text, bitsOf(family));
  return length ? std::optional{maskOf(family, *length)} : std::nullopt;
}

/// Returns why iptables refuses the part; empty if it accepts it.
std::string readAddress(std::string_view part, Family family, AddressList& list) {
  const auto slash = part.rfind('/');
  const std::string_view host = part.substr(0, slash);
  Address mask = maskOf(family, bitsOf(family));
  if (slash != std::string_view::npos) {
    const auto written = parseMask(part.substr(slash + 1), family);
    if (!written) return config::inQuotes(part) + " has a mask that iptables does not accept";
    mask = *written;
  }
  if (part.empty()) return "has a comma without an address next to it";
  if (mask.isUnspecified()) {  // then iptables ignores the address
    list.matches.push_back({mask, mask});
    return {};
  }
  // A scope makes no difference, since iptables drops it.
  const std::string_view plain = host.starts_with("fe80:") ? host.substr(0, host.find('%')) : host;
  const auto address = family == Family::v4 ? dotted(host, false) : ofFamily(Address::parse(plain), family);
  if (address)
    list.matches.push_back({*address, mask});
  else if (config::isHostName(host))
    list.names.emplace_back(host);
  else if (part.starts_with('!'))
    return "begins with '!'";
  else
    return config::inQuotes(part) + " is not an address in " + std::string{nameOf(family)};
  return {};
}

}  // namespace

std::optional<std::uint8_t> iptablesProtocol(std::string_view text) {
  if (const auto known = number(text, 255)) return static_cast<std::uint8_t>(*known);
  std::string name{text};
  std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  const auto found = std::ranges::find(kProtocols, name, &std::pair<std::string_view, int>::first);
  if (found == kProtocols.end()) return std::nullopt;
  return static_cast<std::uint8_t>(found->second);
}

bool PortList::covers(std::uint16_t port) const {
  return std::ranges::any_of(ranges, [&](const PortRange& range) { return range.low <= port && port <= range.high; });
}

PortList iptablesPorts(std::string_view text) { return PortReader{}.read(text); }

bool AddressMatch::contains(const Address& other) const {
  if (other.family() != address.family()) return false;
  for (std::size_t i = 0; i < mask.bytes().size(); ++i)
    if (((other.bytes()[i] ^ address.bytes()[i]) & mask.bytes()[i]) != 0) return false;
  return true;
}

unsigned AddressMatch::bits() const {
  unsigned count = 0;
  for (const std::uint8_t byte : mask.bytes()) count += static_cast<unsigned>(std::popcount(byte));
  return count;
}

AddressList iptablesAddresses(std::string_view text, Family family) {
  AddressList list;
  for (const std::string_view part : config::split(text, ',')) {
    const std::string why = readAddress(part, family, list);
    if (list.wrong.empty()) list.wrong = why;
  }
  return list;
}

}  // namespace wgsteer::foreign
