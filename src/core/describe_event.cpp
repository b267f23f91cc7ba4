// SPDX-License-Identifier: GPL-2.0-or-later
#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/overload.hpp"

namespace wgsteer {

namespace {

std::string by(std::uint32_t port) { return port == 0 ? "" : " by port " + std::to_string(port); }

std::string addressText(const InterfaceAddress& own, const DeviceName& names) {
  return own.address.toString() + "/" + std::to_string(own.prefixLength) + " dev " + names(own.device);
}

std::string command(Family family, const char* object) { return std::string{ipCommand(family)} + " " + object + " "; }

std::string linkText(const Link& link) {
  return "link " + link.name + (!link.up ? " down" : link.carrier ? " up" : " up, no carrier");
}

}  // namespace

std::string describe(const Event& event, const DeviceName& names) {
  return std::visit(
      Overload{
          [](const LinkChanged& changed) { return linkText(changed.link); },
          [&](const LinkGone& gone) { return "link " + names(gone.index) + " gone"; },
          [&](const AddressAdded& added) { return "address " + addressText(added.address, names); },
          [&](const AddressGone& gone) { return "address gone: " + addressText(gone.address, names); },
          [&](const RouteAdded& added) {
            return command(added.route.family(), "route") + describe(added.route, names);
          },
          [&](const RouteGone& gone) {
            return command(gone.route.family(), "route") + "deleted" + by(gone.port) + ": " +
                   describe(gone.route, names);
          },
          [](const RuleAdded& added) { return command(added.rule.family, "rule") + describe(added.rule); },
          [](const RuleGone& gone) {
            return command(gone.rule.family, "rule") + "deleted" + by(gone.port) + ": " + describe(gone.rule);
          },
          [](const NftChanged& changed) {
            if (changed.lost) return std::string{"nftables events were lost, reading the table again"};
            return "nft table inet " + std::string{kNftTable} + " changed" +
                   (changed.by.empty() ? "" : " by " + changed.by);
          },
          [&](const SysctlsChanged& changed) {
            return "sysctls changed: " + (changed.device.value == 0 ? "all" : names(changed.device));
          },
          [](const TunnelsChanged&) { return std::string{"tunnels changed"}; },
          [](const NexthopChanged& changed) { return "nexthop id " + std::to_string(changed.id) + " changed"; },
          [](const NexthopGone& gone) { return "nexthop id " + std::to_string(gone.id) + " deleted"; },
          [](const Overrun&) { return std::string{"events were lost, reading everything again"}; },
      },
      event);
}

}  // namespace wgsteer
