// SPDX-License-Identifier: GPL-2.0-or-later
// What sections and options there are, what each may hold and which member it fills: one table, in schema.cpp.
#pragma once

#include <cstdint>
#include <optional>
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
/// With a hint at the most similar known name. Never quotes values: a private key may be among them.
std::string unknownSection(std::string_view type);

/// The policy that a section asks for, as written.
struct PolicyChoice {
  std::string usePolicy;
  std::vector<Member> useWan;
};
struct PolicySection : PolicyConfig {
  std::vector<Member> useWan;
};
struct TunnelSection : TunnelConfig, PolicyChoice {};
struct PeerSection : PeerConfig, PolicyChoice {};
/// The lists as they are written; their entries correspond to the values of the options.
struct RuleSection : RuleConfig, PolicyChoice {
  std::vector<Entry<Prefix>> srcIp;
  std::vector<Entry<Prefix>> destIp;
  std::vector<Entry<PortRange>> srcPort;
  std::vector<Entry<PortRange>> destPort;
  std::vector<Entry<std::optional<std::uint8_t>>> proto;
  std::vector<Entry<IfName>> srcIface;
  std::vector<Entry<MacAddress>> srcMac;
  std::vector<Entry<std::uint8_t>> dscpList;
};

/// Fills in the section's values and reports wrong ones. Options that it does not have stay as they are.
void readValues(const Section& section, Config& globals, Problems& problems);
void readValues(const Section& section, WanConfig& wan, Problems& problems);
void readValues(const Section& section, PolicySection& policy, Problems& problems);
void readValues(const Section& section, TunnelSection& tunnel, Problems& problems);
void readValues(const Section& section, PeerSection& peer, Problems& problems);
void readValues(const Section& section, RuleSection& rule, Problems& problems);

/// Reports options that are unknown, repeated or missing.
void checkNames(const Section& section, Problems& problems);

/// Adds the option that is named by the section's own name, unless it is given.
Section withName(Section section);

}  // namespace wgsteer::config
