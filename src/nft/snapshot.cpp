// SPDX-License-Identifier: GPL-2.0-or-later
#include "snapshot.hpp"

#include <libmnl/libmnl.h>
#include <libnftnl/gen.h>
#include <libnftnl/udata.h>
#include <netinet/in.h>
// After libc's <netinet/in.h>, or musl defines things twice.
#include <algorithm>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string_view>
#include <utility>

namespace wgsteer::nft {

namespace {

constexpr const char* kTable = kNftTable.data();

/// Somebody else's commit between two of our dumps makes the picture inconsistent; more than this many in a row, each
/// within a fraction of a millisecond, is not worth waiting for.
constexpr int kMaxAttempts = 20;

struct ObservedChain {
  std::string type;
  std::uint32_t hook = 0;
  std::int32_t priority = 0;
  std::uint32_t policy = NF_ACCEPT;
  std::vector<std::string> rules;
};

struct Snapshot {
  TableIdentity table;
  std::map<std::string, ObservedChain> chains;
  std::set<SetId> sets;
  std::set<std::string> counters;
  Contents contents;
  bool foreignParts = false;  ///< something that this program does not make, or that libnftnl cannot read

  void markForeign() { foreignParts = true; }
};

/// nftnl's comment attribute of the table, empty if there is none.
std::string commentOf(const nftnl_table* table) {
  std::uint32_t length = 0;
  const void* data = nftnl_table_get_data(table, NFTNL_TABLE_USERDATA, &length);
  if (data == nullptr) return {};
  std::string comment;
  const auto keep = [](const nftnl_udata* attribute, void* into) {
    const auto* text = static_cast<const char*>(nftnl_udata_get(attribute));
    if (nftnl_udata_type(attribute) == NFTNL_UDATA_TABLE_COMMENT && nftnl_udata_len(attribute) > 0)
      static_cast<std::string*>(into)->assign(text, nftnl_udata_len(attribute) - 1U);
    return 0;
  };
  if (nftnl_udata_parse(data, length, keep, &comment) < 0) return {};
  return comment;
}

bool isOurs(const char* table) { return table != nullptr && kNftTable == table; }

Result<std::uint32_t> generation(Channel& channel) {
  std::uint32_t id = 0;
  const Status status = channel.get(
      NFT_MSG_GETGEN, [](nlmsghdr*) {},
      [&](const nlmsghdr* message) {
        const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(nfgenmsg)));
        if (mnl_nlmsg_get_payload_len(message) > sizeof(nfgenmsg) && mnl_attr_get_type(attribute) == NFTA_GEN_ID)
          id = ntohl(mnl_attr_get_u32(attribute));
      },
      "nft generation");
  if (!status) return std::unexpected(status.error());
  return id;
}

Status readChains(Channel& channel, Snapshot& snapshot) {
  // The kernel has no filter by table for chains.
  return channel.dump(
      NFT_MSG_GETCHAIN, [](nlmsghdr*) {},
      [&](const nlmsghdr* message) {
        const ChainPtr chain = newChain();
        if (nftnl_chain_nlmsg_parse(message, chain.get()) < 0) return;
        if (!isOurs(nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE))) return;
        ObservedChain& observed = snapshot.chains[nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_NAME)];
        if (!nftnl_chain_is_set(chain.get(), NFTNL_CHAIN_HOOKNUM)) return;
        if (const char* type = nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TYPE)) observed.type = type;
        observed.hook = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_HOOKNUM);
        observed.priority = nftnl_chain_get_s32(chain.get(), NFTNL_CHAIN_PRIO);
        observed.policy = nftnl_chain_get_u32(chain.get(), NFTNL_CHAIN_POLICY);
      },
      "nft list chains inet");
}

Status readRules(Channel& channel, Snapshot& snapshot) {
  return channel.dump(
      NFT_MSG_GETRULE, [](nlmsghdr* message) { mnl_attr_put_strz(message, NFTA_RULE_TABLE, kTable); },
      [&](const nlmsghdr* message) {
        const RulePtr rule = newRule();
        if (nftnl_rule_nlmsg_parse(message, rule.get()) < 0) return snapshot.markForeign();
        if (!isOurs(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE))) return;
        snapshot.chains[nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)].rules.push_back(canonicalText(rule.get()));
      },
      "nft list table inet wgsteer");
}

/// The set's shape among ours; nothing when it is another set, or has other types.
std::optional<SetId> knownSet(const nftnl_set* set) {
  const std::string_view name = nftnl_set_get_str(set, NFTNL_SET_NAME);
  const auto* shape = std::ranges::find_if(kSets, [&](const SetShape& one) { return name == one.name; });
  if (shape == kSets.end()) return std::nullopt;
  const auto value = [&](std::uint16_t attribute) {
    return nftnl_set_is_set(set, attribute) ? nftnl_set_get_u32(set, attribute) : 0;
  };
  const bool map = shape->kind == SetKind::map || shape->kind == SetKind::verdictMap;
  const std::uint32_t dataType = shape->kind == SetKind::verdictMap ? std::uint32_t{NFT_DATA_VERDICT} : shape->dataType;
  if (value(NFTNL_SET_FLAGS) != setFlags(*shape) || value(NFTNL_SET_KEY_LEN) != shape->keyLength) return std::nullopt;
  if (value(NFTNL_SET_KEY_TYPE) != shape->keyType) return std::nullopt;
  if (map && value(NFTNL_SET_DATA_TYPE) != dataType) return std::nullopt;
  if (shape->kind == SetKind::map && value(NFTNL_SET_DATA_LEN) != shape->dataLength) return std::nullopt;
  if (shape->kind == SetKind::counterMap && value(NFTNL_SET_OBJ_TYPE) != NFT_OBJECT_COUNTER) return std::nullopt;
  return shape->id;
}

Status readSets(Channel& channel, Snapshot& snapshot) {
  return channel.dump(
      NFT_MSG_GETSET, [](nlmsghdr* message) { mnl_attr_put_strz(message, NFTA_SET_TABLE, kTable); },
      [&](const nlmsghdr* message) {
        const SetPtr set = newSet();
        if (nftnl_set_nlmsg_parse(message, set.get()) < 0) return snapshot.markForeign();
        if (!isOurs(nftnl_set_get_str(set.get(), NFTNL_SET_TABLE))) return;
        if (const auto id = knownSet(set.get()))
          snapshot.sets.insert(*id);
        else
          snapshot.foreignParts = true;
      },
      "nft list sets inet");
}

void takeElements(const nlmsghdr* message, SetId id, Snapshot& snapshot) {
  const SetPtr set = newSet();
  if (nftnl_set_elems_nlmsg_parse(message, set.get()) < 0) return snapshot.markForeign();
  const ElementIteratorPtr iterator(nftnl_set_elems_iter_create(set.get()));
  if (!iterator) throw std::bad_alloc();
  while (nftnl_set_elem* element = nftnl_set_elems_iter_next(iterator.get())) {
    const auto decoded = decode(id, element);
    if (!decoded || !snapshot.contents.take(*decoded)) snapshot.foreignParts = true;
  }
}

Status readElements(Channel& channel, SetId id, Snapshot& snapshot) {
  const char* name = shapeOf(id).name;
  return channel.dump(
      NFT_MSG_GETSETELEM,
      [&](nlmsghdr* message) {
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, kTable);
        mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, name);
      },
      [&](const nlmsghdr* message) { takeElements(message, id, snapshot); }, "nft list set inet wgsteer");
}

Status readCounters(Channel& channel, Snapshot& snapshot) {
  return channel.dump(
      NFT_MSG_GETOBJ, [](nlmsghdr* message) { mnl_attr_put_strz(message, NFTA_OBJ_TABLE, kTable); },
      [&](const nlmsghdr* message) {
        const ObjectPtr object = newObject();
        if (nftnl_obj_nlmsg_parse(message, object.get()) < 0) return snapshot.markForeign();
        if (!isOurs(nftnl_obj_get_str(object.get(), NFTNL_OBJ_TABLE))) return;
        if (nftnl_obj_get_u32(object.get(), NFTNL_OBJ_TYPE) == NFT_OBJECT_COUNTER)
          snapshot.counters.insert(nftnl_obj_get_str(object.get(), NFTNL_OBJ_NAME));
        else
          snapshot.foreignParts = true;
      },
      "nft list counters inet");
}

/// Nothing when there is no table.
Result<std::optional<Snapshot>> readAll(Channel& channel) {
  const auto table = findTable(channel);
  if (!table) return std::unexpected(table.error());
  if (!*table) return std::nullopt;
  Snapshot snapshot;
  snapshot.table = **table;
  if (!snapshot.table.ours) return snapshot;
  for (const auto read : {readChains, readRules, readSets, readCounters})
    if (Status status = read(channel, snapshot); !status) return std::unexpected(status.error());
  for (const SetId id : snapshot.sets)
    if (Status status = readElements(channel, id, snapshot); !status) return std::unexpected(status.error());
  return snapshot;
}

/// All dumps from one generation of the ruleset, or it is tried again.
Result<std::optional<Snapshot>> readConsistently(Channel& channel) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const auto before = generation(channel);
    if (!before) return std::unexpected(before.error());
    auto snapshot = readAll(channel);
    const auto after = generation(channel);
    if (!after) return std::unexpected(after.error());
    // A dump may fail (ENOENT) because its set went away in between: that counts only in a quiet kernel.
    const bool interrupted = !snapshot && snapshot.error().kind == ErrorKind::overrun;
    if (*before == *after && !interrupted) return snapshot;
  }
  return fail(ErrorKind::busy, "nft list table inet wgsteer: the ruleset changes faster than it can be read");
}

bool same(const ObservedChain& observed, const Chain& expected) {
  const bool hooked = !observed.type.empty();
  if (hooked != expected.hook.has_value()) return false;
  if (hooked && (observed.type != expected.hook->type || observed.hook != expected.hook->number ||
                 observed.priority != expected.hook->priority || observed.policy != NF_ACCEPT))
    return false;
  return std::ranges::equal(observed.rules, expected.rules, {}, {},
                            [](const Rule& rule) { return canonicalText(rule.get()); });
}

/// Every chain that ought to be there is, with the rules that it ought to have, and no other.
bool chainsAsExpected(const Snapshot& snapshot, const Numbers& numbers, bool forward) {
  std::vector<Chain> expected = baseChains(numbers, forward);
  for (const Slot slot : snapshot.contents.table.policies) expected.push_back(policyChain(numbers, slot));
  for (const auto& [device, slot] : snapshot.contents.table.wans) expected.push_back(wanChain(numbers, slot));
  return snapshot.chains.size() == expected.size() && std::ranges::all_of(expected, [&](const Chain& chain) {
           const auto found = snapshot.chains.find(chain.name);
           return found != snapshot.chains.end() && same(found->second, chain);
         });
}

bool countersAsExpected(const Snapshot& snapshot) {
  std::set<std::string> expected;
  for (const auto& [device, slot] : snapshot.contents.table.wans) {
    expected.insert(initiationsCounter(slot));
    expected.insert(responsesCounter(slot));
  }
  return snapshot.counters == expected;
}

NftState interpret(Snapshot snapshot, const Numbers& numbers) {
  for (const auto& [name, chain] : snapshot.chains)
    if (const auto slot = slotFromName(name, kPolicyPrefix)) snapshot.contents.table.policies.insert(*slot);
  const auto prerouting = snapshot.chains.find("prerouting");
  const bool forward = prerouting != snapshot.chains.end() && prerouting->second.rules.size() > kPreroutingRules;
  const bool chains = chainsAsExpected(snapshot, numbers, forward);
  const bool rest = snapshot.table.current && !snapshot.foreignParts && snapshot.sets.size() == kSets.size() &&
                    snapshot.contents.consistent() && countersAsExpected(snapshot);
  return {.layout = {.markMask = chains ? numbers.markMask : 0, .forward = forward, .intact = chains && rest},
          .table = std::move(snapshot.contents.table)};
}

}  // namespace

Result<std::optional<TableIdentity>> findTable(Channel& channel) {
  std::optional<TableIdentity> identity;
  const Status status = channel.get(
      NFT_MSG_GETTABLE, [](nlmsghdr* message) { mnl_attr_put_strz(message, NFTA_TABLE_NAME, kTable); },
      [&](const nlmsghdr* message) {
        const TablePtr table = newTable();
        if (nftnl_table_nlmsg_parse(message, table.get()) < 0) return;
        const std::string comment = commentOf(table.get());
        identity = TableIdentity{.handle = nftnl_table_get_u64(table.get(), NFTNL_TABLE_HANDLE),
                                 .ours = comment.starts_with(kOwnershipPrefix),
                                 .current = comment == kTableComment};
      },
      "nft list table inet wgsteer");
  if (!status && status.error().kind != ErrorKind::notThere) return std::unexpected(status.error());
  return identity;
}

Result<std::optional<NftState>> observeTable(Channel& channel, const Numbers& numbers) {
  auto snapshot = readConsistently(channel);
  if (!snapshot) return std::unexpected(snapshot.error());
  if (!*snapshot) return std::nullopt;
  if (!(*snapshot)->table.ours)
    return fail(ErrorKind::refused,
                "nft table inet wgsteer: made by somebody else (its comment is not ours); rename or delete it");
  return interpret(std::move(**snapshot), numbers);
}

}  // namespace wgsteer::nft
