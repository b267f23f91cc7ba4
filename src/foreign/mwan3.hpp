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

/// /etc/config/mwan3, or what stands for it.
inline std::string mwan3File() { return config::firstThere(config::uciFiles("mwan3")); }

/// mwan3 gives longer names to no chain and no set, and does without the rule or policy.
inline constexpr std::size_t kMaxMwan3Name = 15;

struct Mwan3Interface {
  std::string name;
  bool enabled = false;
  bool ipv6 = false;
  unsigned line = 0;
  std::vector<config::Option> options;  ///< tracking among them, named as ours are
};

struct Mwan3Member {
  std::string name;
  std::string interface;
  std::optional<std::int64_t> metric = 1;  ///< nothing: no number, so that mwan3 passes the member over
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
  bool disabled = false;  ///< `enabled 0`, which mwan3 does not read
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
};

/// Lenient, as mwan3 reads it itself; never fails. `notes` gets what libuci would refuse if it were strict, and lists
/// and scalars that are in each other's place, of which mwan3 sees nothing.
Mwan3 readMwan3(std::string_view text, config::Problems& notes);

}  // namespace wgsteer::foreign
