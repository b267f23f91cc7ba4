// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/observed_table.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <libnftnl/udata.h>
#include <string_view>
#include <utility>

#include "netlink/declared.hpp"
#include "netlink/kernel_headers.hpp"
#include "netlink/wire.hpp"
#include "nft/traffic_sets.hpp"

namespace wgsteer::nft {

namespace {

using netlink::Attributes;
using netlink::Bytes;
using netlink::Declared;
using netlink::Length;

constexpr auto kGenerationAttributes = std::to_array<Declared>({{NFTA_GEN_ID, Length::u32, true}});
constexpr auto kObjectAttributes = std::to_array<Declared>({
    {NFTA_OBJ_TABLE, Length::any, true},
    {NFTA_OBJ_NAME, Length::any, true},
    {NFTA_OBJ_TYPE, Length::u32, true},
});

/// libnftnl returns null for a missing attribute.
std::string_view textOf(const char* text) { return text == nullptr ? std::string_view{} : text; }

bool isOurs(const char* table) { return textOf(table) == kNftTable; }

Bytes attributesOf(const nlmsghdr* message) {
  const auto parts = netlink::partsOf<nfgenmsg>(message);
  return parts ? parts->attributes : Bytes{};
}

/// libnftnl 1.2.4 dereferences a null pointer for an expression without a name.
bool expressionsHaveNames(const nlmsghdr* rule) {
  bool all = true;
  if (const auto list = Attributes<NFTA_RULE_MAX>(attributesOf(rule)).at(NFTA_RULE_EXPRESSIONS))
    netlink::forEachAttribute(*list, [&](std::uint16_t type, Bytes expression) {
      all &= type == NFTA_LIST_ELEM && Attributes<NFTA_EXPR_MAX>(expression).has(NFTA_EXPR_NAME);
    });
  return all;
}

/// None of our sets or their elements has expressions, so libnftnl need not read any.
bool setHasExpressions(const nlmsghdr* set) {
  const Attributes<NFTA_SET_MAX> attributes(attributesOf(set));
  return attributes.has(NFTA_SET_EXPR) || attributes.has(NFTA_SET_EXPRESSIONS);
}
bool elementsHaveExpressions(const nlmsghdr* elements) {
  bool any = false;
  if (const auto list = Attributes<NFTA_SET_ELEM_LIST_MAX>(attributesOf(elements)).at(NFTA_SET_ELEM_LIST_ELEMENTS))
    netlink::forEachAttribute(*list, [&](std::uint16_t, Bytes element) {
      const Attributes<NFTA_SET_ELEM_MAX> attributes(element);
      any |= attributes.has(NFTA_SET_ELEM_EXPR) || attributes.has(NFTA_SET_ELEM_EXPRESSIONS);
    });
  return any;
}

constexpr std::uint8_t kCommentType = 0;

/// Empty if there is none. User data is whatever the table's creator has put there: a type, a length, that many bytes,
/// and so on. Not with nftnl_udata_parse(), which trusts the last length (libnftnl 1.2.4).
std::string commentIn(Bytes rest) {
  constexpr std::size_t kHeader = 2;
  while (rest.size() >= kHeader && rest[1] <= rest.size() - kHeader) {
    const Bytes value = rest.subspan(kHeader, rest[1]);
    // With a terminating zero byte.
    if (rest[0] == kCommentType && !value.empty())
      return {reinterpret_cast<const char*>(value.data()), value.size() - 1};
    rest = rest.subspan(kHeader + value.size());
  }
  return {};
}

static_assert(kCommentType == NFTNL_UDATA_TABLE_COMMENT && kCommentType == NFTNL_UDATA_CHAIN_COMMENT);

std::string commentOf(const nftnl_table* table) {
  std::uint32_t length = 0;
  const auto* data = static_cast<const std::uint8_t*>(nftnl_table_get_data(table, NFTNL_TABLE_USERDATA, &length));
  return commentIn({data, data == nullptr ? 0 : length});
}
std::string commentOf(const nftnl_chain* chain) {
  std::uint32_t length = 0;
  const auto* data = static_cast<const std::uint8_t*>(nftnl_chain_get_data(chain, NFTNL_CHAIN_USERDATA, &length));
  return commentIn({data, data == nullptr ? 0 : length});
}

/// The set's id among ours; nullopt if it is another set, or has other types.
std::optional<NftSetId> knownSet(const nftnl_set* set) {
  const auto id = nftSetByName(textOf(nftnl_set_get_str(set, NFTNL_SET_NAME)));
  if (!id) return std::nullopt;
  const SetShape shape = shapeOf(*id);
  const auto has = [&](std::uint16_t attribute, std::uint32_t expected) {
    return (nftnl_set_is_set(set, attribute) ? nftnl_set_get_u32(set, attribute) : 0) == expected;
  };
  const bool known = has(NFTNL_SET_FLAGS, shape.flags) && has(NFTNL_SET_KEY_LEN, shape.keyLength) &&
                     has(NFTNL_SET_KEY_TYPE, shape.keyType) && has(NFTNL_SET_DATA_TYPE, shape.dataType) &&
                     (shape.dataLength == 0 || has(NFTNL_SET_DATA_LEN, shape.dataLength)) &&
                     has(NFTNL_SET_OBJ_TYPE, shape.objectType);
  return known ? id : std::nullopt;
}

bool same(const ObservedChain& observed, const Chain& expected) {
  const bool hooked = !observed.type.empty();
  if (hooked != expected.hook.has_value()) return false;
  if (hooked && (observed.type != expected.hook->type || observed.hook != expected.hook->number ||
                 observed.priority != expected.hook->priority || !observed.accepts))
    return false;
  return std::ranges::equal(observed.rules, expected.rules, {}, {},
                            [](const Rule& rule) { return canonicalText(rule.get()); });
}

std::vector<std::string> textOf(const ObservedChain& chain) {
  std::vector<std::string> text;
  if (!chain.comment.empty()) text.push_back(chain.comment);
  if (!chain.type.empty()) text.push_back(hookText(chain.type, chain.hook, chain.priority));
  text.insert(text.end(), chain.rules.begin(), chain.rules.end());
  return text;
}

/// Whether exactly the expected chains exist, with exactly the expected rules. All others are left to the comment.
bool chainsAsExpected(ObservedTable& observed, const Numbers& numbers, const NftLayout& layout) {
  std::vector<Chain> expected = baseChains(numbers, layout);
  for (const Slot slot : observed.contents.table.policies) expected.push_back(policyChain(numbers, slot));
  for (const auto& [device, slot] : observed.contents.table.wans) expected.push_back(wanChain(numbers, slot));
  bool all = true;
  for (const Chain& chain : expected) {
    const auto found = observed.chains.find(chain.name);
    all &= found != observed.chains.end() && same(found->second, chain);
    if (found != observed.chains.end()) observed.chains.erase(found);
  }
  for (const auto& [name, chain] : observed.chains) {
    observed.traffic.chains.emplace(name, textOf(chain));
    all &= chain.accepts;
  }
  return all;
}

/// Sets, chains and counters that rules for any traffic do not explain are nobody's.
bool trafficAsExpected(const ObservedTable& observed) {
  const TrafficParts& parts = observed.traffic;
  if (observed.table.comment.fingerprint == 0)
    return parts.chains.empty() && parts.sets.empty() && parts.counters.empty();
  return parts.checksum() == observed.table.comment.checksum;
}

bool setsAsExpected(const ObservedTable& observed) {
  const bool traffic = observed.table.comment.fingerprint != 0;
  return std::ranges::all_of(
      kNftSets, [&](const NftSet& set) { return observed.sets.contains(set.id) == (traffic || !set.traffic); });
}

bool countersAsExpected(const ObservedTable& observed) {
  std::set<std::string> expected;
  for (const auto& [device, slot] : observed.contents.table.wans) {
    expected.insert(initiationsCounter(slot));
    expected.insert(responsesCounter(slot));
  }
  return observed.counters == expected;
}

}  // namespace

std::optional<std::uint32_t> generationOf(const nlmsghdr* message) {
  const auto bytes = attributesOf(message);
  if (!netlink::conforms(bytes, kGenerationAttributes)) return std::nullopt;
  return ntohl(Attributes<NFTA_GEN_MAX>(bytes).u32(NFTA_GEN_ID));
}

std::optional<TableIdentity> identityOf(const nlmsghdr* message) {
  const TablePtr table = newTable();
  if (nftnl_table_nlmsg_parse(message, table.get()) < 0) return std::nullopt;
  const std::string comment = commentOf(table.get());
  const auto parsed = parseComment(comment);
  return TableIdentity{.handle = nftnl_table_get_u64(table.get(), NFTNL_TABLE_HANDLE),
                       .ours = comment.starts_with(kNftOwnershipPrefix),
                       .current = parsed.has_value(),
                       .comment = parsed.value_or(TableComment{})};
}

void takeChain(const nlmsghdr* message, ObservedTable& observed) {
  const ChainPtr chain = newChain();
  if (nftnl_chain_nlmsg_parse(message, chain.get()) < 0) return;
  if (!isOurs(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE))) return;
  ObservedChain& taken = observed.chains[std::string{textOf(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME))}];
  taken.comment = commentOf(chain.get());
  if (!nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_HOOKNUM)) return;
  taken.type = textOf(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TYPE));
  taken.hook = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM);
  taken.priority = nftnl_chain_get_s32(chain.get(), NFTNL_CHAIN_PRIO);
  taken.accepts = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_POLICY) == NF_ACCEPT;
}

void takeRule(const nlmsghdr* message, ObservedTable& observed) {
  const RulePtr rule = newRule();
  if (!expressionsHaveNames(message) || nftnl_rule_nlmsg_parse(message, rule.get()) < 0) {
    observed.foreignParts = true;
    return;
  }
  if (!isOurs(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE))) return;
  const std::string chain{textOf(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN))};
  observed.chains[chain].rules.push_back(canonicalText(rule.get()));
}

void takeSet(const nlmsghdr* message, ObservedTable& observed) {
  const SetPtr set = newSet();
  const bool read = !setHasExpressions(message) && nftnl_set_nlmsg_parse(message, set.get()) >= 0;
  if (read && !isOurs(nftnl_set_get_str(set.get(), NFTNL_SET_TABLE))) return;
  if (const auto id = read ? knownSet(set.get()) : std::nullopt) {
    observed.sets.insert(*id);
    return;
  }
  const std::string name{read ? textOf(nftnl_set_get_str(set.get(), NFTNL_SET_NAME)) : std::string_view{}};
  const auto shape = isTrafficSetName(name) ? trafficShapeOf(set.get()) : std::nullopt;
  if (!shape) {
    observed.foreignParts = true;
    return;
  }
  const std::string text = canonicalText(name, *shape);
  observed.traffic.sets.try_emplace(text);
  // What packets have put there is not part of what it is.
  if ((shape->flags & NFT_SET_EVAL) == 0) observed.trafficSets.emplace(name, text);
}

namespace {

/// Calls `take` with each element of the message; what it returns false for is not one of ours.
template <class Take>
void forEachElement(const nlmsghdr* message, ObservedTable& observed, Take take) {
  const SetPtr set = newSet();
  if (elementsHaveExpressions(message) || nftnl_set_elems_nlmsg_parse(message, set.get()) < 0) {
    observed.foreignParts = true;
    return;
  }
  const ElementIteratorPtr iterator(nftnl_set_elems_iter_create(set.get()));
  if (!iterator) throw std::bad_alloc();
  while (nftnl_set_elem* element = nftnl_set_elems_iter_next(iterator.get()))
    if (!take(element)) observed.foreignParts = true;
}

}  // namespace

void takeElements(const nlmsghdr* message, NftSetId id, ObservedTable& observed) {
  forEachElement(message, observed, [&](nftnl_set_elem* element) {
    const auto decoded = decode(id, element);
    return decoded && observed.contents.take(*decoded);
  });
}

void takeElements(const nlmsghdr* message, const std::string& trafficSet, ObservedTable& observed) {
  forEachElement(message, observed, [&](nftnl_set_elem* element) {
    const auto decoded = trafficElementOf(element);
    if (decoded) observed.traffic.sets[observed.trafficSets[trafficSet]].insert(canonicalText(*decoded));
    return decoded.has_value();
  });
}

void takeCounter(const nlmsghdr* message, ObservedTable& observed) {
  const auto bytes = attributesOf(message);
  const Attributes<NFTA_OBJ_MAX> attributes(bytes);
  if (attributes.text(NFTA_OBJ_TABLE) != kNftTable) return;
  // The number of packets counted does not matter here.
  if (netlink::conforms(bytes, kObjectAttributes) && ntohl(attributes.u32(NFTA_OBJ_TYPE)) == NFT_OBJECT_COUNTER)
    (attributes.text(NFTA_OBJ_NAME).starts_with(kRulePrefix) ? observed.traffic.counters : observed.counters)
        .insert(attributes.text(NFTA_OBJ_NAME));
  else
    observed.foreignParts = true;
}

/// What the marks of chains mean.
std::map<std::string, Slot> slotsOf(const ObservedTable& observed) {
  std::map<std::string, Slot> slots;
  for (const auto& [name, chain] : observed.chains)
    for (const std::string_view prefix : {kExitPrefix, kLeavePrefix, kPinPrefix, kFormerPrefix})
      if (const auto slot = slotFromName(name, prefix); slot && !chain.comment.empty())
        slots.emplace(chain.comment, *slot);
  return slots;
}

NftState interpret(ObservedTable observed, const Numbers& numbers) {
  for (const auto& [name, chain] : observed.chains)
    if (const auto slot = slotFromName(name, kPolicyPrefix)) observed.contents.table.policies.insert(*slot);
  const bool forward = observed.chains.contains(kPostroutingChain);
  NftLayout layout{.markMask = 0,
                   .forward = forward,
                   .tunnels = observed.chains.contains(kOutputChain),
                   .intact = false,
                   .traffic = {}};
  layout.traffic.fingerprint = observed.table.comment.fingerprint;
  layout.traffic.slots = slotsOf(observed);
  const bool chains = chainsAsExpected(observed, numbers, layout);
  const bool rest = observed.table.current && !observed.foreignParts && setsAsExpected(observed) &&
                    observed.contents.consistent() && countersAsExpected(observed) && trafficAsExpected(observed);
  if (chains) layout.markMask = numbers.markMask;
  layout.intact = chains && rest;
  return {.layout = layout, .table = std::move(observed.contents.table)};
}

}  // namespace wgsteer::nft
