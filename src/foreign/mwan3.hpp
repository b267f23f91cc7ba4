// SPDX-License-Identifier: GPL-2.0-or-later
// /etc/config/mwan3 as mwan3 2.11 and 2.12 read it (net/mwan3 of OpenWrt's packages: mwan3.sh, common.sh).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/sections.hpp"
#include "config/uci_path.hpp"

namespace wgsteer::foreign {

/// /etc/config/mwan3, or the file that overrides it.
inline std::string mwan3File() { return config::firstThere(config::uciFiles("mwan3")); }

/// mwan3 cannot give a chain or set a longer name, and omits such a rule or policy.
inline constexpr std::size_t kMaxMwan3Name = 15;

struct Mwan3Interface {
  std::string name;
  bool enabled = false;
  bool ipv6 = false;
  unsigned line = 0;
  std::vector<config::Option> options;  ///< including those for tracking, which have the same names as ours
};

struct Mwan3Member {
  std::string name;
  std::string interface;
  std::optional<std::int64_t> metric = 1;  ///< nullopt: not a number, so mwan3 ignores the member
  std::int64_t weight = 1;
  unsigned line = 0;
};

struct Mwan3Policy {
  std::string name;
  std::vector<std::string> members;
  std::string lastResort{"unreachable"};  ///< unreachable | blackhole | default
  unsigned line = 0;
};

struct Mwan3Rule {
  std::string name;  ///< empty: generated
  std::string policy;
  std::string family;
  std::string proto;
  std::string srcIp;
  std::string destIp;
  std::string srcPort;
  std::string destPort;
  std::string srcIface;
  std::string ipset;
  std::string sticky;
  bool disabled = false;  ///< `enabled 0`, which mwan3 ignores
  unsigned line = 0;
};

struct Mwan3 {
  std::uint32_t mask = 0x3f00;  ///< mmx_mask
  std::vector<Mwan3Interface> interfaces;
  std::vector<Mwan3Member> members;
  std::vector<Mwan3Policy> policies;
  std::vector<Mwan3Rule> rules;

  const Mwan3Interface* interface(std::string_view name) const;
  const Mwan3Member* member(std::string_view name) const;
  const Mwan3Policy* policy(std::string_view name) const;
  /// Whether a rule may use it: one that is defined, or default, unreachable or blackhole.
  bool knowsPolicy(std::string_view name) const;
};

/// Lenient, as mwan3 itself is; never fails. `notes` gets what libuci would refuse in strict mode, and lists in place
/// of scalars and vice versa, which mwan3 does not see.
Mwan3 readMwan3(std::string_view text, config::Problems& notes);

}  // namespace wgsteer::foreign
