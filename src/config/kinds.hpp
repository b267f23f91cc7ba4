// SPDX-License-Identifier: GPL-2.0-or-later
// The kinds of value that an option may have. read() converts a value to the type that the program uses, or says what
// is wrong with it and what is allowed; kType is the type of the value in TOML.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <iterator>
#include <string_view>

#include "config/sections.hpp"
#include "config/values.hpp"

namespace wgsteer::config {

/// Has no limits other than those of its function.
template <auto Read, ValueType Type = ValueType::text>
struct Plain {
  static constexpr ValueType kType = Type;
  static auto read(const Value& value) { return Read(value); }
};

using Name = Plain<parseName>;  ///< of a WAN, a policy, an interface of netifd
using Device = Plain<parseIfName>;
using Flag = Plain<parseBoolean, ValueType::boolean>;
using MarkMask = Plain<parseMarkMask>;
using ServerAddress = Plain<parseAddress>;
using RouterAddress = Plain<parseGateway>;
using ProbeAddress = Plain<parseTrackIp>;
using MemberWan = Plain<parseMember>;
using Key = Plain<parsePublicKey>;
using PeerAddress = Plain<parseEndpoint>;
using Prefix6 = Plain<parsePrefix6>;
using InsideTable = Plain<parseInsideTable, ValueType::integer>;

/// An entry of a rule's list, with or without "!".
template <auto Read>
struct Selecting {
  using Selected = Entry<typename decltype(Read(Value{}))::value_type>;
  static constexpr ValueType kType = ValueType::text;
  static Parsed<Selected> read(const Value& value) {
    const auto [excluded, bare] = parseExclusion(value);
    auto selected = Read(bare);
    if (!selected) return std::unexpected(selected.error());
    return Selected{.excluded = excluded, .value = *std::move(selected)};
  }
};

using Prefixes = Selecting<parsePrefix>;
using Ports = Selecting<parsePorts>;
using Protocols = Selecting<parseProtocol>;
using Devices = Selecting<parseIfName>;
using Macs = Selecting<parseMac>;
using Dscps = Selecting<parseDscp>;

struct Integer {
  static constexpr ValueType kType = ValueType::integer;
  std::int64_t low = 0;
  std::int64_t high = 0;
  Parsed<std::int64_t> read(const Value& value) const { return parseInteger(value, low, high); }
};

/// Fractions are allowed.
struct Seconds {
  static constexpr ValueType kType = ValueType::number;
  /// Nobody needs more than ten probes per second; 0 would be a busy loop.
  static constexpr double kLow = 0.1;
  double high = 0;
  Parsed<Duration> read(const Value& value) const { return parseSeconds(value, kLow, high); }
};

/// An enumeration: the words for its values ("keep|flush"), and the values in the same order.
template <class Enum, std::size_t kSize>
struct Choice {
  static constexpr ValueType kType = ValueType::text;
  std::string_view words;
  std::array<Enum, kSize> values;

  template <class... Values>
  consteval explicit Choice(std::string_view all, Values... each) : words(all), values{each...} {
    // Not a constant expression, so it does not compile.
    if (std::ranges::count(words, '|') + 1 != std::ssize(values)) throw "as many words as values";
  }
  Parsed<Enum> read(const Value& value) const {
    const auto place = parseChoice(value, words);
    if (!place) return std::unexpected(place.error());
    return values[*place];
  }
};
template <class Enum, class... Others>
Choice(std::string_view, Enum, Others...) -> Choice<Enum, 1 + sizeof...(Others)>;

}  // namespace wgsteer::config
