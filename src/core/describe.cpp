// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/describe.hpp"

#include <array>
#include <utility>

#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/overload.hpp"

#include "core/describe_traffic.hpp"
#include "core/nft_members.hpp"

namespace wgsteer {

namespace {

std::string number(std::uint32_t value) { return std::to_string(value); }

std::string tableName(TableId table) {
  if (table == kMainTable) return "main";
  if (table == kLocalTable) return "local";
  if (table == kDefaultTable) return "default";
  return number(table.value);
}

std::string_view typeName(RouteType type) {
  constexpr std::array<std::string_view, 7> kNames{"",          "local ", "blackhole ", "unreachable ",
                                                   "prohibit ", "throw ", "other "};
  return kNames[std::to_underlying(type)];
}

std::string describeHop(const NextHop& hop, Family family, const DeviceName& names) {
  std::string text;
  if (hop.gateway) {
    text += " via ";
    if (hop.gateway->family() != family) text += hop.gateway->family() == Family::v6 ? "inet6 " : "inet ";
    text += hop.gateway->toString();
  }
  text += " dev " + names(hop.device);
  return text;
}

std::string ports(const PortRange& range) {
  return range.first == range.last ? number(range.first) : number(range.first) + "-" + number(range.last);
}

std::string selectors(const Rule& rule) {
  std::string text;
  if (rule.invert) text += " not";
  if (rule.source) text += " from " + (rule.source->isDefault() ? "all" : rule.source->toString());
  if (rule.destination) text += " to " + (rule.destination->isDefault() ? "all" : rule.destination->toString());
  if (rule.mark.mask != 0) text += " fwmark " + rule.mark.toString();
  if (!rule.inputInterface.empty()) text += " iif " + rule.inputInterface;
  if (!rule.outputInterface.empty()) text += " oif " + rule.outputInterface;
  if (rule.ipProtocol != 0) text += " ipproto " + number(rule.ipProtocol);
  if (rule.sourcePort) text += " sport " + ports(*rule.sourcePort);
  if (rule.destinationPort) text += " dport " + ports(*rule.destinationPort);
  if (rule.otherSelector && !isStamp(rule.suppressGroup)) text += " (and more)";
  return text;
}

std::string action(const Rule& rule) {
  switch (rule.action) {
    case RuleAction::lookup:
      return " lookup " + (rule.l3mdev ? "[l3mdev-table]" : tableName(rule.table));
    case RuleAction::goto_:
      return " goto " + number(rule.gotoPriority);
    case RuleAction::nop:
      return " nop";
    case RuleAction::blackhole:
      return " blackhole";
    case RuleAction::unreachable:
      return " unreachable";
    case RuleAction::prohibit:
      return " prohibit";
    case RuleAction::other:
      break;
  }
  return " (other action)";
}

std::string nftCommand(bool add, std::string_view object) {
  return std::string{"nft "} + (add ? "add " : "delete ") + std::string{object} + " inet " + std::string{kNftTable};
}

/// For nft and the shell, it ends the command.
std::string withComment(std::string line, const std::string& comment) {
  return comment.empty() ? line : std::move(line) + "  # " + comment;
}

/// A deleted element is named by its key alone, as `nft` wants it.
std::string describeElement(bool add, NftElement element) {
  if (!add) element.value = std::monostate{};
  return nftCommand(add, "element") + " " + nftSet(element.set).name + " { " + toString(element) + " }";
}

std::string describeOp(const NftOp& op, const NftTransaction& of) {
  if (const auto* policy = std::get_if<NftPolicy>(&op.member))
    return nftCommand(op.add, "chain") + " " + policyChainName(policy->slot);
  NftElements elements;
  appendElements(op.member, elements);
  std::string text;
  for (const NftElement& element : elements)
    if (!nftSet(element.set).repeats) text += (text.empty() ? "" : "; ") + describeElement(op.add, element);
  return withComment(std::move(text), trafficComment(op, of));
}

std::vector<std::string> describeTransaction(const NftTransaction& transaction) {
  std::vector<std::string> lines;
  if (transaction.deleteTable) lines.push_back("nft delete table inet " + std::string{kNftTable});
  if (transaction.createTable)
    lines.push_back(withComment("nft add table inet " + std::string{kNftTable}, trafficComment(transaction.layout)));
  for (const NftOp& op : transaction.ops) lines.push_back(describeOp(op, transaction));
  return lines;
}

/// What is left of the valid lifetime, and what of the preferred one is to be given back, is read when it is done.
std::string describeDeprecated(const SetDeprecated& set, const DeviceName& names) {
  std::string left = "0";
  if (!set.on && set.preferred.until == kForever)
    left = "$VALID";
  else if (!set.on && set.preferred.until < Preferred::kSinceBoot)
    left = "$((VALID - " + number(set.preferred.until) + "))";
  else if (!set.on)
    left = "$((" + number(set.preferred.until - Preferred::kSinceBoot) + " - UPTIME))";
  return "ip -6 addr change " + set.own.address.toString() + "/" + number(set.own.prefixLength) + " dev " +
         names(set.own.device) + " valid_lft $VALID preferred_lft " + left;
}

}  // namespace

DeviceName deviceNames(const World& world) {
  return [&world](IfIndex index) {
    const Link* link = world.link(index);
    return link == nullptr ? "if" + std::to_string(index.value) : link->name;
  };
}

std::string describe(const Route& route, const DeviceName& names) {
  std::string text{typeName(route.type)};
  text += route.destination.toString();
  if (!route.source.isDefault()) text += " from " + route.source.toString();
  if (route.hops.size() == 1) {
    text += describeHop(route.hops.front(), route.family(), names);
    if (route.hops.front().onlink) text += " onlink";
  }
  text += " table " + tableName(route.table);
  if (route.linkScope) text += " scope link";
  if (route.preferredSource) text += " src " + route.preferredSource->toString();
  text += " metric " + number(route.metric) + " proto " + number(route.protocol);
  const RouteMetrics& metrics = route.metrics;
  if (metrics.mtu != 0) text += std::string{" mtu "} + (metrics.mtuLocked ? "lock " : "") + number(metrics.mtu);
  if (metrics.advmss != 0) text += " advmss " + number(metrics.advmss);
  if (route.hops.size() < 2) return text;
  for (const NextHop& hop : route.hops) {
    text += " nexthop" + describeHop(hop, route.family(), names) + " weight " + number(hop.weight);
    if (hop.onlink) text += " onlink";
  }
  return text;
}

std::string describe(const Rule& rule) {
  std::string text = "priority " + number(rule.priority) + selectors(rule) + action(rule);
  if (rule.suppressPrefixLength >= 0) text += " suppress_prefixlength " + std::to_string(rule.suppressPrefixLength);
  if (rule.suppressGroup >= 0) text += " suppress_ifgroup " + std::to_string(rule.suppressGroup);
  if (rule.protocol != 0) text += " proto " + number(rule.protocol);
  return text;
}

std::string ipRule(const Rule& rule) { return std::string{ipCommand(rule.family)} + " rule " + describe(rule); }

std::vector<std::string> describe(const Change& change, const DeviceName& names) {
  const auto routeLine = [&](std::string_view verb, const Route& route) {
    return std::string{ipCommand(route.family())} + " route " + std::string{verb} + " " + describe(route, names);
  };
  const auto ruleLine = [](std::string_view verb, const Rule& rule) {
    return std::string{ipCommand(rule.family)} + " rule " + std::string{verb} + " " + describe(rule);
  };
  using Lines = std::vector<std::string>;
  return std::visit(
      Overload{
          [&](const AddRoute& added) -> Lines { return {routeLine(added.replace ? "replace" : "add", added.route)}; },
          [&](const DeleteRoute& deleted) -> Lines { return {routeLine("del", deleted.route)}; },
          [&](const AddRule& added) -> Lines { return {ruleLine("add", added.rule)}; },
          [&](const DeleteRule& deleted) -> Lines { return {ruleLine("del", deleted.rule)}; },
          [&](const SetTunnelMark& set) -> Lines {
            return {"wg set " + set.tunnel + " fwmark " + (set.mark.value == 0 ? "off" : hex(set.mark.value))};
          },
          [&](const SetSysctl& set) -> Lines {
            return {"sysctl -w " + set.sysctl.name() + "=" + (set.on ? "1" : "0")};
          },
          [&](const SetDeprecated& set) -> Lines { return {describeDeprecated(set, names)}; },
          [&](const NftTransaction& transaction) -> Lines { return describeTransaction(transaction); },
      },
      change);
}

std::size_t lineCount(const Change& change) {
  const auto* transaction = std::get_if<NftTransaction>(&change);
  if (transaction == nullptr) return 1;
  return transaction->ops.size() + (transaction->deleteTable ? 1 : 0) + (transaction->createTable ? 1 : 0);
}

std::size_t lineCount(const std::vector<Change>& changes) {
  std::size_t lines = 0;
  for (const Change& change : changes) lines += lineCount(change);
  return lines;
}

std::vector<std::string> describe(const Plan& plan, const DeviceName& names) {
  std::vector<std::string> lines;
  for (const Change& change : plan.changes)
    for (std::string& line : describe(change, names)) lines.push_back(std::move(line));
  return lines;
}

}  // namespace wgsteer
