// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/answer.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace wgsteer::dns {

namespace {

constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeCname = 5;
constexpr std::uint16_t kTypeAaaa = 28;
constexpr std::uint16_t kClassIn = 1;
constexpr std::size_t kMaxName = 255;

/// Reads forward through a message. After a failure everything reads as zero or empty.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> message) : message_(message) {}
  bool failed() const { return failed_; }
  std::size_t position() const { return position_; }

  std::span<const std::uint8_t> bytes(std::size_t count) {
    if (failed_ || message_.size() - position_ < count) {
      failed_ = true;
      return {};
    }
    const auto taken = message_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  std::uint32_t number(std::size_t size) {
    std::uint32_t value = 0;
    for (const std::uint8_t byte : bytes(size)) value = value << 8U | byte;
    return value;
  }
  std::uint16_t number16() { return static_cast<std::uint16_t>(number(2)); }
  /// In lower case, because DNS names are case-insensitive (RFC 4343). Each label is followed by a dot; dots inside
  /// labels are escaped.
  std::string name();
  void seek(std::size_t position) { position_ = position; }

 private:
  std::span<const std::uint8_t> message_;
  std::size_t position_ = 0;
  bool failed_ = false;
};

void appendLabel(std::string& name, std::span<const std::uint8_t> label) {
  for (const std::uint8_t byte : label) {
    // Otherwise "a.b" in one label would be the same as two.
    if (byte == '.' || byte == '\\') name += '\\';
    name += static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
  }
  name += '.';
}

std::string Reader::name() {
  std::string name;
  std::optional<std::size_t> after;
  std::size_t length = 1;
  // Every pointer must lead to before its own position (RFC 1035 4.1.4), so this terminates.
  std::size_t limit = position_;
  while (!failed_) {
    const std::uint32_t size = number(1);
    if (failed_ || size == 0) break;
    if (size < 64) {
      length += size + 1;
      if (length > kMaxName) failed_ = true;
      appendLabel(name, bytes(size));
      continue;
    }
    const std::size_t target = (size & 0x3fU) << 8U | number(1);
    if (!after) after = position_;
    if (size < 0xc0 || target >= limit) failed_ = true;
    limit = position_ = target;
  }
  if (after) position_ = *after;
  return name;
}

struct Alias {
  std::string target;
  std::uint32_t ttl = 0;
};

struct Host {
  std::set<Address> addresses;
  std::uint32_t ttl = 0xffffffff;
};

/// What the answer section says about each name.
struct Section {
  std::map<std::string, Alias> aliases;
  std::map<std::string, Host> hosts;
};

/// RFC 2181 section 8: the highest bit set counts as zero.
std::uint32_t timeToLive(std::uint32_t value) { return (value & 0x80000000U) != 0 ? 0 : value; }

bool readRecord(Reader& reader, Family family, Section& section) {
  std::string owner = reader.name();
  const std::uint16_t type = reader.number16();
  const std::uint16_t recordClass = reader.number16();
  const std::uint32_t ttl = timeToLive(reader.number(4));
  const std::uint16_t length = reader.number16();
  const std::size_t start = reader.position();
  const auto data = reader.bytes(length);
  if (reader.failed()) return false;
  if (recordClass != kClassIn) return true;
  if (type == kTypeCname) {
    reader.seek(start);
    Alias alias{reader.name(), ttl};
    if (reader.failed() || reader.position() != start + length) return false;
    section.aliases.try_emplace(std::move(owner), std::move(alias));
  } else if (type == (family == Family::v4 ? kTypeA : kTypeAaaa)) {
    if (length != bitsOf(family) / 8U) return false;
    Host& host = section.hosts[std::move(owner)];
    host.addresses.insert(*Address::fromBytes(data));
    host.ttl = std::min(host.ttl, ttl);
  }
  return true;
}

std::expected<Records, std::string> follow(const Section& section, std::string name) {
  std::uint32_t ttl = 0xffffffff;
  std::set<std::string> seen;
  for (auto alias = section.aliases.find(name); alias != section.aliases.end(); alias = section.aliases.find(name)) {
    if (!seen.insert(name).second) return std::unexpected("its CNAMEs form a loop");
    if (seen.size() > kMaxChain) return std::unexpected("more than 16 CNAMEs in a row");
    ttl = std::min(ttl, alias->second.ttl);
    name = alias->second.target;
  }
  const auto host = section.hosts.find(name);
  if (host == section.hosts.end()) return Records{};
  const auto& addresses = host->second.addresses;
  if (addresses.size() > kMaxAddresses) return std::unexpected("more than 64 addresses");
  return Records{{addresses.begin(), addresses.end()}, std::min(ttl, host->second.ttl)};
}

bool isMappedV4(const Address& address) {
  const auto bytes = address.bytes();
  return std::all_of(bytes.begin(), bytes.begin() + 10, [](std::uint8_t byte) { return byte == 0; }) &&
         bytes[10] == 0xff && bytes[11] == 0xff;
}

}  // namespace

std::expected<Records, std::string> readAnswer(std::span<const std::uint8_t> message, Family family) {
  Reader reader{message};
  reader.bytes(4);  // id and flags
  const std::uint16_t questions = reader.number16();
  const std::uint16_t answers = reader.number16();
  reader.bytes(4);
  const std::string question = reader.name();
  reader.bytes(4);
  if (reader.failed() || questions != 1) return std::unexpected("malformed answer");
  Section section;
  for (unsigned i = 0; i < answers; ++i)
    if (!readRecord(reader, family, section)) return std::unexpected("malformed answer");
  return follow(section, question);
}

std::optional<std::string_view> whyUnusable(const Address& address) {
  if (address.isUnspecified()) return "unspecified address";
  if (address.isLoopback()) return "loopback address";
  if (address == Address::v4(255, 255, 255, 255)) return "broadcast address";
  if (address.isMulticast()) return "multicast address";
  if (address.family() == Family::v4) {
    if (address.bytes()[0] == 0) return "address in 0.0.0.0/8";
    return std::nullopt;
  }
  if (address.isLinkLocal()) return "link-local address without a scope";
  if (isMappedV4(address)) return "IPv4-mapped address";
  return std::nullopt;
}

}  // namespace wgsteer::dns
