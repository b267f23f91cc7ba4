// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/trace.hpp"

#include <algorithm>
#include <array>
#include <linux/rtnetlink.h>
#include <string_view>

#include "wgsteer/core/describe.hpp"

#include "netlink/rtnl.hpp"

namespace wgsteer::netlink {

namespace {

struct TypeName {
  std::uint16_t type;
  std::string_view name;
};
constexpr std::array kTypeNames{
    TypeName{NLMSG_ERROR, "NLMSG_ERROR"},       TypeName{NLMSG_DONE, "NLMSG_DONE"},
    TypeName{RTM_NEWLINK, "RTM_NEWLINK"},       TypeName{RTM_DELLINK, "RTM_DELLINK"},
    TypeName{RTM_GETLINK, "RTM_GETLINK"},       TypeName{RTM_NEWADDR, "RTM_NEWADDR"},
    TypeName{RTM_DELADDR, "RTM_DELADDR"},       TypeName{RTM_GETADDR, "RTM_GETADDR"},
    TypeName{RTM_NEWROUTE, "RTM_NEWROUTE"},     TypeName{RTM_DELROUTE, "RTM_DELROUTE"},
    TypeName{RTM_GETROUTE, "RTM_GETROUTE"},     TypeName{RTM_NEWRULE, "RTM_NEWRULE"},
    TypeName{RTM_DELRULE, "RTM_DELRULE"},       TypeName{RTM_GETRULE, "RTM_GETRULE"},
    TypeName{RTM_NEWNEXTHOP, "RTM_NEWNEXTHOP"}, TypeName{RTM_DELNEXTHOP, "RTM_DELNEXTHOP"},
    TypeName{RTM_NEWNETCONF, "RTM_NEWNETCONF"},
};

std::string typeName(std::uint16_t type) {
  const auto* known = std::ranges::find(kTypeNames, type, &TypeName::type);
  return known == kTypeNames.end() ? "type " + std::to_string(type) : std::string{known->name};
}

/// The same bits mean other things in read and delete requests: named only for additions.
std::string flagNames(const nlmsghdr* message) {
  std::string text;
  const auto name = [&](std::uint16_t flag, std::string_view word) {
    if ((message->nlmsg_flags & flag) != 0) text += " " + std::string{word};
  };
  const bool adds = message->nlmsg_type >= RTM_BASE && message->nlmsg_type % 4 == 0;
  if (adds) {
    name(NLM_F_CREATE, "create");
    name(NLM_F_EXCL, "exclusive");
    name(NLM_F_REPLACE, "replace");
    name(NLM_F_APPEND, "append");
  }
  name(NLM_F_DUMP_INTR, "interrupted");
  return text;
}

std::string numbered(IfIndex index) { return "if" + std::to_string(index.value); }

std::string linkText(const Link& link) {
  return "link " + std::to_string(link.index.value) + " " + link.name + (link.kind.empty() ? "" : " " + link.kind) +
         (link.up ? " up" : " down") + (link.carrier ? "" : " no-carrier");
}

std::string addressText(const InterfaceAddress& own) {
  return "address " + own.address.toString() + (own.peer ? " peer " + own.peer->toString() : "") + "/" +
         std::to_string(own.prefixLength) + " dev " + numbered(own.device) + (own.tentative ? " tentative" : "") +
         (own.deprecated ? " deprecated" : "");
}

std::string contents(const nlmsghdr* message) {
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      if (const auto link = decodeLink(message)) return linkText(*link);
      break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
      if (const auto own = decodeAddress(message)) return addressText(*own);
      break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      if (const auto route = decodeRoute(message))
        return std::string{ipCommand(route->family())} + " route " + describe(*route, numbered);
      break;
    case RTM_NEWRULE:
    case RTM_DELRULE:
      if (const auto rule = decodeRule(message)) return ipRule(*rule);
      break;
    default:
      break;
  }
  if (const auto answer = answerIn(message))
    return std::strerror(answer->error) + (answer->text.empty() ? "" : ", " + answer->text);
  return std::to_string(message->nlmsg_len) + " bytes";
}

}  // namespace

std::string trace(const nlmsghdr* message) {
  return typeName(message->nlmsg_type) + flagNames(message) + ": " + contents(message);
}

}  // namespace wgsteer::netlink
