// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/foreign_rule.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "netlink/kernel_headers.hpp"

namespace wgsteer::nft {

namespace {

using namespace firewall;
using netlink::Attributes;
using netlink::forEachAttribute;

using Raw = netlink::Bytes;
using Steps = std::vector<Step>;

/// More than any expression has.
using Fields = Attributes<16>;

/// Maps the kernel's number of a data register to one of our words.
std::optional<Register> registerOf(const Fields& fields, std::size_t type) {
  const std::uint32_t kernels = number(fields, type);
  if (kernels >= NFT_REG_1 && kernels <= NFT_REG_4) return static_cast<Register>((kernels - NFT_REG_1) * 4);
  if (kernels >= NFT_REG32_00 && kernels <= NFT_REG32_15) return static_cast<Register>(kernels - NFT_REG32_00);
  return std::nullopt;
}

/// An expression that is not modelled: it is unknown what it loaded, where, and whether it ended the rule.
void notFollowed(const std::string& what, Steps& steps) {
  steps.emplace_back(MayMatch{what});
  for (Register block = 0; block < kScratch; block += 4) steps.emplace_back(LoadUnknown{what, block, true});
}

void loadUnknown(const std::string& what, std::optional<Register> to, Steps& steps, bool mayBeMark = false) {
  if (to) steps.emplace_back(LoadUnknown{what, *to, mayBeMark});
}

std::optional<Field> metaField(std::uint32_t key) {
  switch (key) {
    case NFT_META_MARK:
      return Field::mark;
    case NFT_META_CGROUP:
      return Field::cgroup;
    case NFT_META_IIF:
      return Field::inputIndex;
    case NFT_META_OIF:
      return Field::outputIndex;
    case NFT_META_IIFNAME:
      return Field::inputName;
    case NFT_META_OIFNAME:
      return Field::outputName;
    case NFT_META_NFPROTO:
      return Field::nfProtocol;
    case NFT_META_L4PROTO:
      return Field::l4Protocol;
    case NFT_META_PROTOCOL:
      return Field::etherType;
    default:
      return std::nullopt;
  }
}

void meta(const Fields& fields, Steps& steps) {
  const std::uint32_t key = number(fields, NFTA_META_KEY);
  if (const auto from = registerOf(fields, NFTA_META_SREG)) {
    if (key == NFT_META_MARK) steps.emplace_back(StoreMark{*from, false});
    return;
  }
  const auto to = registerOf(fields, NFTA_META_DREG);
  const auto field = metaField(key);
  if (to && field) return void(steps.emplace_back(LoadField{*field, *to}));
  loadUnknown(key == NFT_META_SKUID ? "meta skuid" : "meta " + std::to_string(key), to, steps);
}

void connection(const Fields& fields, Steps& steps) {
  const std::uint32_t key = number(fields, NFTA_CT_KEY);
  if (const auto from = registerOf(fields, NFTA_CT_SREG)) {
    if (key == NFT_CT_MARK) steps.emplace_back(StoreMark{*from, true});
    return;
  }
  const auto to = registerOf(fields, NFTA_CT_DREG);
  if (to && key == NFT_CT_STATE) return void(steps.emplace_back(LoadField{Field::connectionState, *to}));
  if (to && key == NFT_CT_STATUS) return void(steps.emplace_back(LoadField{Field::connectionStatus, *to}));
  if (to && key == NFT_CT_MARK) return void(steps.emplace_back(LoadField{Field::connectionMark, *to}));
  loadUnknown("ct " + std::to_string(key), to, steps);
}

void payload(const Fields& fields, Steps& steps) {
  const auto to = registerOf(fields, NFTA_PAYLOAD_DREG);
  if (!to) return;  // writes into the packet
  const std::uint32_t base = number(fields, NFTA_PAYLOAD_BASE);
  if (base != NFT_PAYLOAD_NETWORK_HEADER && base != NFT_PAYLOAD_TRANSPORT_HEADER) {
    // The packet may or may not have a link layer header.
    steps.emplace_back(MayMatch{"@ll"});
    return loadUnknown("@ll", to, steps);
  }
  steps.emplace_back(LoadPayload{base == NFT_PAYLOAD_NETWORK_HEADER ? Header::network : Header::transport,
                                 number(fields, NFTA_PAYLOAD_OFFSET), number(fields, NFTA_PAYLOAD_LEN), *to});
}

void fib(const Fields& fields, Steps& steps) {
  const auto to = registerOf(fields, NFTA_FIB_DREG);
  if (!to) return;
  using enum LoadRoute::Result;
  const std::uint32_t flags = number(fields, NFTA_FIB_FLAGS);
  const std::uint32_t result = number(fields, NFTA_FIB_RESULT);
  if ((flags & NFTA_FIB_F_OIF) != 0) return loadUnknown("fib . oif", to, steps);
  LoadRoute load{.ofSource = (flags & NFTA_FIB_F_SADDR) != 0,
                 .withMark = (flags & NFTA_FIB_F_MARK) != 0,
                 .byInput = (flags & NFTA_FIB_F_IIF) != 0,
                 .prefersInput = false,
                 .result = index,
                 .to = *to};
  if (result == NFT_FIB_RESULT_ADDRTYPE) load.result = type;
  if (result == NFT_FIB_RESULT_OIFNAME) load.result = name;
  if ((flags & NFTA_FIB_F_PRESENT) != 0 && result != NFT_FIB_RESULT_ADDRTYPE) load.result = present;
  steps.emplace_back(load);
}

void immediate(const Fields& fields, Steps& steps) {
  if (const auto to = registerOf(fields, NFTA_IMMEDIATE_DREG))
    return void(steps.emplace_back(LoadValue{valueIn(fields.at(NFTA_IMMEDIATE_DATA)), *to}));
  const auto nested = fields.at(NFTA_IMMEDIATE_DATA);
  const auto verdict = nested ? Attributes<NFTA_DATA_MAX>(*nested).at(NFTA_DATA_VERDICT) : std::nullopt;
  const auto known = verdict ? foreignVerdict(*verdict) : std::nullopt;
  steps.emplace_back(known.value_or(Verdict{Verdict::Kind::mayEnd, "verdict"}));
}

void bitwise(const Fields& fields, Steps& steps) {
  const auto from = registerOf(fields, NFTA_BITWISE_SREG);
  const auto to = registerOf(fields, NFTA_BITWISE_DREG);
  Bytes mask = valueIn(fields.at(NFTA_BITWISE_MASK));
  Bytes toggled = valueIn(fields.at(NFTA_BITWISE_XOR));
  const std::uint32_t operation = number(fields, NFTA_BITWISE_OP);
  const bool shifts = operation == NFT_BITWISE_LSHIFT || operation == NFT_BITWISE_RSHIFT;
  // From Linux 6.13 on others combine two registers: one may be a mark that the other adds to.
  if (operation != NFT_BITWISE_BOOL || !from || !to || mask.size() != toggled.size())
    return loadUnknown("bits", to, steps, !shifts);
  steps.emplace_back(MaskXor{*from, *to, std::move(mask), std::move(toggled)});
}

void compare(const Fields& fields, Steps& steps) {
  static constexpr std::array kRelations{Relation::equal,       Relation::notEqual, Relation::less,
                                         Relation::lessOrEqual, Relation::greater,  Relation::greaterOrEqual};
  const auto from = registerOf(fields, NFTA_CMP_SREG);
  const std::uint32_t relation = number(fields, NFTA_CMP_OP);
  if (!from || relation >= kRelations.size()) return notFollowed("cmp", steps);
  steps.emplace_back(Compare{*from, kRelations.at(relation), valueIn(fields.at(NFTA_CMP_DATA))});
}

void range(const Fields& fields, Steps& steps) {
  const auto from = registerOf(fields, NFTA_RANGE_SREG);
  if (!from) return notFollowed("range", steps);
  steps.emplace_back(Within{*from, valueIn(fields.at(NFTA_RANGE_FROM_DATA)), valueIn(fields.at(NFTA_RANGE_TO_DATA)),
                            number(fields, NFTA_RANGE_OP) == NFT_RANGE_NEQ});
}

void lookup(const Fields& fields, Steps& steps) {
  const auto from = registerOf(fields, NFTA_LOOKUP_SREG);
  if (!from) return notFollowed("lookup", steps);
  Lookup made;
  made.name = fields.text(NFTA_LOOKUP_SET);
  made.from = *from;
  made.to = registerOf(fields, NFTA_LOOKUP_DREG);
  made.verdicts = fields.has(NFTA_LOOKUP_DREG) && !made.to;
  made.inverted = (number(fields, NFTA_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV) != 0;
  steps.emplace_back(std::move(made));
}

XtExtension extension(const Fields& fields) {
  // The attributes of a target have the same numbers.
  return {.name = fields.text(NFTA_MATCH_NAME),
          .revision = number(fields, NFTA_MATCH_REV),
          .info = fields.at(NFTA_MATCH_INFO).value_or(Raw{})};
}

// Numbers that are no mark, whatever they are made of.
void numberGenerator(const Fields& fields, Steps& steps) {
  loadUnknown("numgen", registerOf(fields, NFTA_NG_DREG), steps);
}
void hash(const Fields& fields, Steps& steps) { loadUnknown("hash", registerOf(fields, NFTA_HASH_DREG), steps); }

/// Quotas, limits and connection limits are conditions; other objects are not.
void object(const Fields& fields, Steps& steps) {
  const std::uint32_t type = number(fields, NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_QUOTA);
  if (type == NFT_OBJECT_QUOTA || type == NFT_OBJECT_LIMIT || type == NFT_OBJECT_CONNLIMIT)
    steps.emplace_back(MayMatch{"limit"});
}

constexpr auto kWithoutEffect =
    std::to_array<std::string_view>({"counter", "log", "last", "dup", "flow_offload", "ct_timeout"});
constexpr auto kTranslations = std::to_array<std::string_view>({"nat", "masq", "redir"});

void expression(const std::string& name, const Fields& fields, TableFamily family, Steps& steps) {
  using Handler = void (*)(const Fields&, Steps&);
  static constexpr auto kHandlers = std::to_array<std::pair<std::string_view, Handler>>({{"meta", meta},
                                                                                         {"ct", connection},
                                                                                         {"payload", payload},
                                                                                         {"fib", fib},
                                                                                         {"immediate", immediate},
                                                                                         {"bitwise", bitwise},
                                                                                         {"cmp", compare},
                                                                                         {"range", range},
                                                                                         {"lookup", lookup},
                                                                                         {"numgen", numberGenerator},
                                                                                         {"hash", hash},
                                                                                         {"objref", object}});
  const auto* handler = std::ranges::find(kHandlers, name, &std::pair<std::string_view, Handler>::first);
  if (handler != kHandlers.end()) return handler->second(fields, steps);
  if (name == "match") return appendMatch(extension(fields), family, steps);
  if (name == "target") return appendTarget(extension(fields), steps);
  if (name == "reject") return void(steps.emplace_back(Verdict{Verdict::Kind::reject, {}}));
  if (name == "notrack") return void(steps.emplace_back(Untrack{}));
  if (name == "queue") return void(steps.emplace_back(Verdict{Verdict::Kind::mayEnd, "queue"}));
  if (isOneOf(name, kTranslations)) {
    steps.emplace_back(Translate{});
    return void(steps.emplace_back(Verdict{Verdict::Kind::accept, {}}));
  }
  if (isOneOf(name, kWithoutEffect)) return;
  notFollowed(name, steps);
}

}  // namespace

firewall::Bytes valueIn(std::optional<Raw> data) {
  const auto value = data ? Attributes<NFTA_DATA_MAX>(*data).at(NFTA_DATA_VALUE) : std::nullopt;
  return value ? firewall::Bytes{value->begin(), value->end()} : firewall::Bytes{};
}

std::optional<Verdict> foreignVerdict(Raw attributes) {
  using enum Verdict::Kind;
  const Fields fields(attributes);
  const auto code = static_cast<std::int32_t>(number(fields, NFTA_VERDICT_CODE));
  switch (code) {
    case NF_DROP:
      return Verdict{drop, {}};
    case NF_ACCEPT:
      return Verdict{accept, {}};
    case NFT_CONTINUE:
    case NFT_BREAK:
      return Verdict{next, {}};
    case NFT_JUMP:
      return Verdict{jump, fields.text(NFTA_VERDICT_CHAIN)};
    case NFT_GOTO:
      return Verdict{goto_, fields.text(NFTA_VERDICT_CHAIN)};
    case NFT_RETURN:
      return Verdict{return_, {}};
    default:
      return Verdict{mayEnd, "queue"};
  }
}

firewall::Rule foreignRule(Raw expressions, TableFamily family) {
  firewall::Rule rule;
  forEachAttribute(expressions, [&](std::uint16_t, Raw element) {
    const Attributes<NFTA_EXPR_MAX> parts(element);
    expression(parts.text(NFTA_EXPR_NAME), Fields(parts.at(NFTA_EXPR_DATA).value_or(Raw{})), family, rule.steps);
  });
  return rule;
}

}  // namespace wgsteer::nft
