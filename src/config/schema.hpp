// SPDX-License-Identifier: GPL-2.0-or-later
// What sections and options there are, what each may hold and which member it fills: one table, in schema.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/config.hpp"

#include "config/sections.hpp"
#include "config/values.hpp"

namespace wgsteer::config {

struct Traits {
  bool required = false;
  std::string_view unless = {};  ///< required only where this option is missing
  bool mwan3 = false;            ///< mwan3 has the same option for its interfaces, with the same meaning
};

struct OptionSchema {
  std::string_view name;
  ValueType type = ValueType::text;
  Traits traits;
};

struct SectionSchema {
  std::string_view type;
  std::string_view nameOption;  ///< the option that a section's own name stands for, if any
  bool once = false;
  std::span<const OptionSchema> options;

  const OptionSchema* find(std::string_view name) const;
};

std::span<const SectionSchema> allSections();
const SectionSchema* findSection(std::string_view type);
/// With a hint at the nearest known name. Says nothing about values: a private key may be among them.
std::string unknownSection(std::string_view type);

/// Which policy a section asks for, as it is written.
struct PolicyChoice {
  std::string usePolicy;
  std::vector<Member> useWan;
};
struct PolicySection : PolicyConfig {
  std::vector<Member> useWan;
};
struct TunnelSection : TunnelConfig, PolicyChoice {};
struct PeerSection : PeerConfig, PolicyChoice {};

/// Fills in what the section says, and tells of values that are wrong. What it does not say stays as it is.
void readValues(const Section& section, Config& globals, Problems& problems);
void readValues(const Section& section, WanConfig& wan, Problems& problems);
void readValues(const Section& section, PolicySection& policy, Problems& problems);
void readValues(const Section& section, TunnelSection& tunnel, Problems& problems);
void readValues(const Section& section, PeerSection& peer, Problems& problems);

/// Tells of options that are unknown, repeated or missing.
void checkNames(const Section& section, Problems& problems);

/// With the option that the section's own name stands for, if it has none.
Section withName(Section section);

}  // namespace wgsteer::config
