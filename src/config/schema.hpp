// SPDX-License-Identifier: GPL-2.0-or-later
// What sections and options there are and what each may hold, as a table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config/sections.hpp"

namespace wgsteer::config {

enum class OptionType : std::uint8_t {
  name,
  device,
  integer,
  seconds,
  boolean,
  markMask,
  choice,
  addresses,
  trackIps,
  members,
  publicKey,
  endpoint,
};

struct OptionSchema {
  std::string_view name;
  OptionType type = OptionType::name;
  bool required = false;
  std::int64_t low = 0;
  std::int64_t high = 0;
  std::string_view choices = {};  ///< "keep|flush", in the order of the enumeration
};

struct SectionSchema {
  std::string_view type;
  std::string_view nameOption;  ///< the option that a section's own name stands for, if any
  bool once = false;
  std::span<const OptionSchema> options;

  const OptionSchema* find(std::string_view name) const;
};

/// More often than ten times a second nobody probes; 0 would be a busy loop.
inline constexpr double kMinSeconds = 0.1;

std::span<const SectionSchema> allSections();
const SectionSchema* findSection(std::string_view type);
/// With a hint at the nearest known name. Says nothing about values: a private key may be among them.
std::string unknownSection(std::string_view type);

/// What a WAN, policy or tunnel is called, by its option or by its section's own name; empty if missing or wrong.
struct SectionName {
  std::string name;
  unsigned line = 0;
};
SectionName nameOf(const Section& section);

/// Types and ranges of one option.
void checkOption(const OptionSchema& schema, const Option& option, Problems& problems);

/// Everything that can be said of sections one by one: unknown, missing or repeated options, types, ranges.
void checkSections(const Sections& sections, Problems& problems);

}  // namespace wgsteer::config
