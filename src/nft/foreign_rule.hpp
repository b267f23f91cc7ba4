// SPDX-License-Identifier: GPL-2.0-or-later
// The expressions of other people's rules, from the kernel's bytes to core/firewall.hpp's steps. Nothing is believed of
// the bytes but their length. Not by libnftnl, which gives up a whole rule for one expression that it does not know.
#pragma once

#include <optional>
#include <vector>

#include "wgsteer/core/firewall.hpp"

#include "netlink/wire.hpp"

namespace wgsteer::nft {

/// NFTA_RULE_EXPRESSIONS.
firewall::Rule foreignRule(netlink::Bytes expressions, firewall::TableFamily family);
/// NFTA_DATA_VERDICT.
std::optional<firewall::Verdict> foreignVerdict(netlink::Bytes attributes);

/// A match or target of xtables, with its name, revision and structure.
struct XtExtension {
  std::string name;
  std::uint32_t revision = 0;
  netlink::Bytes info;
};
void appendMatch(const XtExtension& match, firewall::TableFamily family, std::vector<firewall::Step>& steps);
void appendTarget(const XtExtension& target, std::vector<firewall::Step>& steps);

}  // namespace wgsteer::nft
