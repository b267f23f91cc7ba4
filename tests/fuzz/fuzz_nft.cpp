// SPDX-License-Identifier: GPL-2.0-or-later
// Any values in what nf_tables dumps and announces: a table counts as ours only if it is, and nothing crashes.
//
// Values, not any bytes: libnftnl ends the program if an attribute has an unexpected length (abi_breakage() in its
// source), because the kernel never sends that, and nobody else can send to the socket.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <random>
#include <span>
#include <vector>

#include "wgsteer/core/numbers.hpp"

#include "netlink/wire.hpp"
#include "nft/events.hpp"
#include "nft/foreign_rule.hpp"
#include "nft/observed_table.hpp"

using namespace wgsteer;
using namespace wgsteer::nft;

namespace {

/// As if it were foreign.
void takeAsForeign(const nlmsghdr* message) {
  const auto parts = netlink::partsOf<nfgenmsg>(message);
  if (!parts) return;
  const auto expressions = netlink::Attributes<NFTA_RULE_MAX>(parts->attributes).at(NFTA_RULE_EXPRESSIONS);
  if (expressions) (void)firewall::gist(foreignRule(*expressions, firewall::TableFamily::ip6));
}

void take(const nlmsghdr* message, ObservedTable& observed, std::size_t& elements) {
  switch (NFNL_MSG_TYPE(message->nlmsg_type)) {
    case NFT_MSG_NEWTABLE:
      if (const auto identity = identityOf(message)) observed.table = *identity;
      break;
    case NFT_MSG_NEWCHAIN:
      takeChain(message, observed);
      break;
    case NFT_MSG_NEWRULE:
      takeRule(message, observed);
      takeAsForeign(message);
      break;
    case NFT_MSG_NEWSET:
      takeSet(message, observed);
      break;
    case NFT_MSG_NEWOBJ:
      takeCounter(message, observed);
      break;
    case NFT_MSG_NEWSETELEM:
      // A dump does not name its set, which was requested by name. So take the sets in turn.
      takeElements(message, static_cast<NftSetId>(elements++ % kNftSets.size()), observed);
      break;
    default:
      break;
  }
}

/// Whether the bytes are attributes and nothing else, since nf_tables does not flag its nested attributes.
bool areAttributes(std::span<const std::uint8_t> bytes) {
  constexpr std::uint16_t kMostTypes = 40;
  bool sensible = bytes.size() >= sizeof(nlattr);
  std::size_t seen = 0;
  netlink::forEachAttribute(bytes, [&](std::uint16_t type, netlink::Bytes payload) {
    sensible &= type < kMostTypes;
    seen += netlink::aligned(sizeof(nlattr) + payload.size());
  });
  return sensible && seen == netlink::aligned(bytes.size());
}

void collectValues(netlink::Bytes attributes, std::uint16_t parent, std::vector<netlink::Bytes>& values) {
  netlink::forEachAttribute(attributes, [&](std::uint16_t type, netlink::Bytes payload) {
    // libnftnl does not check whether there is a target chain.
    const bool verdict = parent == NFTA_DATA_VERDICT && type == NFTA_VERDICT_CODE;
    if (areAttributes(payload))
      collectValues(payload, type, values);
    else if (!payload.empty() && !verdict)
      values.push_back(payload);
  });
}

}  // namespace

/// Provided by libFuzzer; missing in a replay, which mutates nothing.
extern "C" [[gnu::weak]] std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t maxSize);

/// Changes one value and keeps its length; text keeps its end.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t, unsigned seed) {
  std::vector<netlink::Bytes> values;
  netlink::forEachMessage(std::as_bytes(std::span(data, size)), [&](const nlmsghdr* message) {
    const auto parts = netlink::partsOf<nfgenmsg>(message);
    const bool rule = NFNL_MSG_TYPE(message->nlmsg_type) == NFT_MSG_NEWRULE;
    if (parts && !rule) collectValues(parts->attributes, 0, values);
  });
  if (values.empty()) return size;
  const netlink::Bytes chosen = values[std::minstd_rand(seed)() % values.size()];
  std::vector<std::uint8_t> changed(chosen.begin(), chosen.end());
  LLVMFuzzerMutate(changed.data(), changed.size(), changed.size());
  const std::size_t kept = chosen.size() - (chosen.back() == 0 ? 1 : 0);
  std::copy_n(changed.begin(), kept, data + (chosen.data() - data));
  return size;
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t oneSize,
                                                 const std::uint8_t* other, std::size_t otherSize, std::uint8_t* out,
                                                 std::size_t maxSize, unsigned) {
  if (netlink::aligned(oneSize) != oneSize || oneSize + otherSize > maxSize) return 0;
  std::copy_n(one, oneSize, out);
  std::copy_n(other, otherSize, out + oneSize);
  return oneSize + otherSize;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Aligned, as a buffer that recv(2) fills is.
  const std::vector<std::uint8_t> bytes(data, data + size);
  ObservedTable observed;
  std::size_t elements = 0;
  netlink::forEachMessage(std::as_bytes(std::span(bytes)), [&](const nlmsghdr* message) {
    (void)concernsOurTable(message);
    (void)committerOf(message);
    (void)generationOf(message);
    take(message, observed, elements);
  });
  const bool foreign = observed.foreignParts;
  if (interpret(std::move(observed), Numbers{}).layout.intact && foreign) std::abort();
  return 0;
}
