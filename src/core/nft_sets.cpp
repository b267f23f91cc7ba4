// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/nft_sets.hpp"

#include <algorithm>
#include <charconv>

#include "wgsteer/core/overload.hpp"

namespace wgsteer {

namespace {

std::string numbered(std::string_view prefix, Slot slot) { return std::string{prefix} + std::to_string(slot.value); }

std::string textOf(const NftKey& key, NftKeyPart part) {
  switch (part) {
    case NftKeyPart::device:
      return "\"" + key.device + "\"";
    case NftKeyPart::ipv4:
    case NftKeyPart::ipv6:
      return key.address.toString();
    case NftKeyPart::prefix6:
      return Prefix{key.address, key.length}.toString();
    case NftKeyPart::port:
      return std::to_string(key.port);
    case NftKeyPart::sourcePort:
      return std::to_string(key.sourcePort);
    case NftKeyPart::mark:
      return hex(key.mark.value);
    case NftKeyPart::preferred:
      return hex(key.before.preferred.until);
    case NftKeyPart::written:
      return hex(key.before.written);
    case NftKeyPart::none:
      break;
  }
  return {};
}

}  // namespace

std::optional<NftSetId> nftSetByName(std::string_view name) {
  const auto* set = std::ranges::find_if(kNftSets, [&](const NftSet& one) { return name == one.name; });
  return set == kNftSets.end() ? std::nullopt : std::optional{set->id};
}

std::string toString(const NftElement& element) {
  std::string text;
  for (const NftKeyPart part : nftSet(element.set).key) {
    if (part == NftKeyPart::none) break;
    text += (text.empty() ? "" : " . ") + textOf(element.key, part);
  }
  return text + std::visit(Overload{
                               [](std::monostate) { return std::string{}; },
                               [](const Address& address) { return " : " + address.toString(); },
                               [](const NftGoto& to) { return " : goto " + to.chain; },
                               [](NftReturn) { return std::string{" : return"}; },
                               [](const NftCounter& counter) { return " : \"" + counter.name + "\""; },
                           },
                           element.value);
}

std::string policyChainName(Slot slot) { return numbered(kPolicyPrefix, slot); }
std::string wanChainName(Slot slot) { return numbered(kWanPrefix, slot); }
std::string exitChainName(Slot slot) { return numbered(kExitPrefix, slot); }
std::string arriveChainName(Slot slot) { return numbered(kArrivePrefix, slot); }
std::string leaveChainName(Slot slot) { return numbered(kLeavePrefix, slot); }
std::string formerChainName(Slot slot) { return numbered(kFormerPrefix, slot); }
std::string pinChainName(Slot slot) { return numbered(kPinPrefix, slot); }
std::string chooseChainName(Slot slot) { return numbered(kChoosePrefix, slot); }
std::string refuseChainName(Slot slot) { return numbered(kRefusePrefix, slot); }
std::string translateChainName(Slot slot) { return numbered(kTranslatePrefix, slot); }
std::string initiationsCounter(Slot slot) { return numbered(kInitiationsPrefix, slot); }
std::string responsesCounter(Slot slot) { return numbered(kResponsesPrefix, slot); }

std::optional<Slot> slotFromName(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string_view digits = name.substr(prefix.size());
  if (digits.empty() || digits.front() < '1' || digits.front() > '9') return std::nullopt;
  std::uint8_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return Slot{value};
}

}  // namespace wgsteer
