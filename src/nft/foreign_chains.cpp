// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/foreign_chains.hpp"

#include <algorithm>
#include <libmnl/libmnl.h>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "wgsteer/core/numbers.hpp"

#include "netlink/kernel_headers.hpp"
#include "netlink/wire.hpp"
#include "nft/channel.hpp"
#include "nft/foreign_rule.hpp"
#include "nft/generation.hpp"
#include "nft/observed_table.hpp"

namespace wgsteer::nft {

namespace {

using namespace firewall;
using netlink::Attributes;
using netlink::forEachAttribute;

using Raw = netlink::Bytes;

constexpr std::uint32_t kMaxElements = 64;
constexpr std::size_t kMaxSets = 500;

/// Family, table, name.
using Id = std::tuple<std::uint8_t, std::string, std::string>;

struct SetFacts {
  std::uint32_t flags = 0;
  std::uint32_t size = 0;
};

struct Ruleset {
  std::set<std::pair<std::uint8_t, std::string>> dormant;
  std::map<Id, SetFacts> sets;
  std::map<Id, std::size_t> indexes;   ///< into chains
  std::vector<std::uint8_t> families;  ///< of the chains, as the kernel numbers them
  Firewall firewall;
};

std::optional<TableFamily> tableFamily(std::uint8_t number) {
  switch (number) {
    case NFPROTO_IPV4:
      return TableFamily::ip;
    case NFPROTO_IPV6:
      return TableFamily::ip6;
    case NFPROTO_INET:
      return TableFamily::inet;
    default:
      return std::nullopt;
  }
}

std::optional<HookPoint> hookPoint(std::uint32_t number) {
  static_assert(std::to_underlying(HookPoint::postrouting) == NF_INET_POST_ROUTING &&
                std::to_underlying(HookPoint::output) == NF_INET_LOCAL_OUT);
  if (number > NF_INET_POST_ROUTING) return std::nullopt;
  return static_cast<HookPoint>(number);
}

bool isOurs(std::uint8_t family, std::string_view table) { return family == NFPROTO_INET && table == kNftTable; }

/// All families at once, unless one is named.
void setFamily(netlink::Message& message, std::uint8_t family) {
  static_cast<nfgenmsg*>(mnl_nlmsg_get_payload(message.header()))->nfgen_family = family;
}

void takeTable(const nlmsghdr* message, Ruleset& ruleset) {
  const auto parts = netlink::partsOf<nfgenmsg>(message);
  if (!parts) return;
  const Attributes<NFTA_TABLE_MAX> table(parts->attributes);
  if ((number(table, NFTA_TABLE_FLAGS) & NFT_TABLE_F_DORMANT) != 0)
    ruleset.dormant.emplace(parts->header.nfgen_family, table.text(NFTA_TABLE_NAME));
}

void takeForeignChain(const nlmsghdr* message, Ruleset& ruleset) {
  const auto parts = netlink::partsOf<nfgenmsg>(message);
  if (!parts) return;
  const std::uint8_t familyNumber = parts->header.nfgen_family;
  const auto family = tableFamily(familyNumber);
  const Attributes<NFTA_CHAIN_MAX> attributes(parts->attributes);
  firewall::Chain chain;
  chain.table = attributes.text(NFTA_CHAIN_TABLE);
  chain.name = attributes.text(NFTA_CHAIN_NAME);
  if (!family || isOurs(familyNumber, chain.table) || ruleset.dormant.contains({familyNumber, chain.table})) return;
  chain.family = *family;
  if (const auto nested = attributes.at(NFTA_CHAIN_HOOK)) {
    const Attributes<NFTA_HOOK_MAX> hook(*nested);
    const auto point = hookPoint(number(hook, NFTA_HOOK_HOOKNUM));
    if (!point) return;
    chain.hook = firewall::Hook{.point = *point,
                                .priority = static_cast<std::int32_t>(number(hook, NFTA_HOOK_PRIORITY)),
                                .routes = attributes.text(NFTA_CHAIN_TYPE) == "route",
                                .translates = attributes.text(NFTA_CHAIN_TYPE) == "nat",
                                .accepts = number(attributes, NFTA_CHAIN_POLICY, NF_ACCEPT) != NF_DROP};
  }
  ruleset.indexes.emplace(Id{familyNumber, chain.table, chain.name}, ruleset.firewall.chains.size());
  ruleset.families.push_back(familyNumber);
  ruleset.firewall.chains.push_back(std::move(chain));
}

void takeForeignRule(const nlmsghdr* message, Ruleset& ruleset) {
  const auto parts = netlink::partsOf<nfgenmsg>(message);
  if (!parts) return;
  const Attributes<NFTA_RULE_MAX> rule(parts->attributes);
  const auto chain =
      ruleset.indexes.find({parts->header.nfgen_family, rule.text(NFTA_RULE_TABLE), rule.text(NFTA_RULE_CHAIN)});
  if (chain == ruleset.indexes.end()) return;
  firewall::Chain& owner = ruleset.firewall.chains[chain->second];
  owner.rules.push_back(foreignRule(rule.at(NFTA_RULE_EXPRESSIONS).value_or(Raw{}), owner.family));
}

void takeSetFacts(const nlmsghdr* message, Ruleset& ruleset) {
  const auto parts = netlink::partsOf<nfgenmsg>(message);
  if (!parts) return;
  const Attributes<NFTA_SET_MAX> set(parts->attributes);
  const Attributes<NFTA_SET_DESC_MAX> description(set.at(NFTA_SET_DESC).value_or(Raw{}));
  ruleset.sets[{parts->header.nfgen_family, set.text(NFTA_SET_TABLE), set.text(NFTA_SET_NAME)}] = {
      .flags = number(set, NFTA_SET_FLAGS), .size = number(description, NFTA_SET_DESC_SIZE)};
}

void takeFlowtable(const nlmsghdr* message, Ruleset& ruleset) {
  const auto parts = netlink::partsOf<nfgenmsg>(message);
  if (!parts) return;
  const Attributes<NFTA_FLOWTABLE_MAX> flowtable(parts->attributes);
  const auto family = tableFamily(parts->header.nfgen_family);
  if (!family || (number(flowtable, NFTA_FLOWTABLE_FLAGS) & NFT_FLOWTABLE_HW_OFFLOAD) == 0) return;
  ruleset.firewall.hardwareFlowtables.push_back(nameOf(*family, flowtable.text(NFTA_FLOWTABLE_TABLE)) + ", flowtable " +
                                                flowtable.text(NFTA_FLOWTABLE_NAME));
}

void takeElement(Raw bytes, Set& set) {
  const Attributes<NFTA_SET_ELEM_MAX> attributes(bytes);
  const std::uint32_t flags = number(attributes, NFTA_SET_ELEM_FLAGS);
  const auto data = attributes.at(NFTA_SET_ELEM_DATA);
  const auto verdict = data ? Attributes<NFTA_DATA_MAX>(*data).at(NFTA_DATA_VERDICT) : std::nullopt;
  Set::Element element{.key = valueIn(attributes.at(NFTA_SET_ELEM_KEY)),
                       .endsInterval = (flags & NFT_SET_ELEM_INTERVAL_END) != 0,
                       .data = valueIn(data),
                       .verdict = verdict ? foreignVerdict(*verdict) : std::nullopt};
  if ((flags & NFT_SET_ELEM_CATCHALL) != 0)
    set.forOthers = std::move(element);
  else
    set.elements.push_back(std::move(element));
}

class Reader {
 public:
  explicit Reader(Channel& channel) : channel_(channel) {}

  Result<Firewall> read() {
    Ruleset ruleset;
    struct Part {
      std::uint16_t type;
      void (*take)(const nlmsghdr*, Ruleset&);
      const char* what;
    };
    for (const Part& part : {Part{NFT_MSG_GETTABLE, takeTable, "nft list tables"},
                             Part{NFT_MSG_GETCHAIN, takeForeignChain, "nft list chains"},
                             Part{NFT_MSG_GETRULE, takeForeignRule, "nft list ruleset"},
                             Part{NFT_MSG_GETSET, takeSetFacts, "nft list sets"},
                             Part{NFT_MSG_GETFLOWTABLE, takeFlowtable, "nft list flowtables"}}) {
      const Status status = channel_.dump(
          part.type, [](netlink::Message& message) { setFamily(message, NFPROTO_UNSPEC); },
          [&](const nlmsghdr* message) { part.take(message, ruleset); }, part.what);
      if (!status) return std::unexpected(status.error());
    }
    if (const Status status = readSmallSets(ruleset); !status) return std::unexpected(status.error());
    return std::move(ruleset.firewall);
  }

 private:
  Status readSmallSets(Ruleset& ruleset) {
    std::size_t left = kMaxSets;
    for (std::size_t i = 0; i < ruleset.firewall.chains.size(); ++i)
      for (firewall::Rule& rule : ruleset.firewall.chains[i].rules)
        for (Step& step : rule.steps) {
          auto* lookup = std::get_if<Lookup>(&step);
          if (lookup == nullptr || lookup->set || left == 0) continue;
          const Id id{ruleset.families[i], ruleset.firewall.chains[i].table, lookup->name};
          if (!isSmall(ruleset, id)) continue;
          --left;
          if (const Status status = readElements(id, (ruleset.sets.at(id).flags & NFT_SET_INTERVAL) != 0, *lookup);
              !status)
            return status;
        }
    return {};
  }

  static bool isSmall(const Ruleset& ruleset, const Id& id) {
    const auto found = ruleset.sets.find(id);
    if (found == ruleset.sets.end()) return false;
    const auto [flags, size] = found->second;
    // Intervals of concatenations are not ordered.
    const bool ordered = (flags & NFT_SET_INTERVAL) == 0 || (flags & NFT_SET_CONCAT) == 0;
    // Without a size, as in sets from nft 1.1, the number is known only when they are read.
    return (flags & NFT_SET_ANONYMOUS) != 0 && ordered && size <= kMaxElements;
  }

  Status readElements(const Id& id, bool intervals, Lookup& lookup) {
    Set set;
    set.intervals = intervals;
    const Status status = channel_.dump(
        NFT_MSG_GETSETELEM,
        [&](netlink::Message& message) {
          setFamily(message, std::get<0>(id));
          message.text(NFTA_SET_ELEM_LIST_TABLE, std::get<1>(id));
          message.text(NFTA_SET_ELEM_LIST_SET, std::get<2>(id));
        },
        [&](const nlmsghdr* message) {
          const auto parts = netlink::partsOf<nfgenmsg>(message);
          const Attributes<NFTA_SET_ELEM_LIST_MAX> list(parts ? parts->attributes : Raw{});
          if (const auto elements = list.at(NFTA_SET_ELEM_LIST_ELEMENTS))
            forEachAttribute(*elements, [&](std::uint16_t, Raw element) {
              if (set.elements.size() <= kMaxElements) takeElement(element, set);
            });
        },
        "nft list set");
    if (!status || set.elements.size() > kMaxElements) return status;
    // If one interval ends where the next begins, the beginning counts.
    std::ranges::sort(set.elements, [](const Set::Element& one, const Set::Element& other) {
      return std::tuple{std::cref(one.key).get(), !one.endsInterval} <
             std::tuple{std::cref(other.key).get(), !other.endsInterval};
    });
    lookup.set = std::make_shared<const Set>(std::move(set));
    return {};
  }

  Channel& channel_;
};

}  // namespace

Result<Firewall> readForeignChains() {
  auto channel = Channel::open();
  if (!channel) return std::unexpected(channel.error());
  return inOneGeneration(*channel, "nft list ruleset", [](Channel& in) { return Reader{in}.read(); });
}

}  // namespace wgsteer::nft
