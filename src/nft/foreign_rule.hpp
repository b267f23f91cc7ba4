// SPDX-License-Identifier: GPL-2.0-or-later
// Decodes the expressions of other programs' rules from the kernel's bytes to the steps of core/firewall.hpp. Nothing
// about the bytes is trusted except their number. Not with libnftnl, which rejects a whole rule because of one unknown
// expression.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <optional>
#include <string_view>
#include <vector>

#include "wgsteer/core/firewall.hpp"

#include "netlink/wire.hpp"

namespace wgsteer::nft {

/// nf_tables' integers are in network byte order.
template <std::size_t Max>
std::uint32_t number(const netlink::Attributes<Max>& attributes, std::size_t type, std::uint32_t otherwise = 0) {
  const auto value = attributes.template integer<std::uint32_t>(type);
  return value ? ntohl(*value) : otherwise;
}

template <class List>
bool isOneOf(std::string_view name, const List& list) {
  return std::ranges::find(list, name) != list.end();
}

/// The bytes of NFTA_DATA_VALUE; empty if there is none.
firewall::Bytes valueIn(std::optional<netlink::Bytes> data);
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
