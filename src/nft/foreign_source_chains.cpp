// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/foreign_source_chains.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "core/nft_sets.hpp"
#include "netlink/kernel_headers.hpp"

namespace wgsteer::nft {

namespace {

/// "Source address failed ingress/egress policy" (RFC 4443): Linux fails with EACCES at once
/// (icmp.c:tab_unreach, 6.18). No host takes another source for it, but programs go on to their next address.
constexpr std::uint8_t kPolicyFailed = 5;

class ForeignSourceChains {
 public:
  ForeignSourceChains(const Numbers& numbers, const TrafficProgram& program, std::vector<Chain>& chains)
      : numbers_(numbers), program_(program), chains_(chains) {}

  void build() {
    if (any(ForeignSource::reject) || any(ForeignSource::translate)) refuseChain();
    if (any(ForeignSource::masquerade)) masqueradeChain();
    for (const TrafficForeignSource& of : program_.foreignSources)
      if (of.treatment == ForeignSource::translate) translateChains(of);
    if (any(ForeignSource::reject) || any(ForeignSource::translate))
      hook("traffic_forward", Hook{"filter", NF_INET_FORWARD, kRefusalChainPriority}, kRefusingMap);
    if (any(ForeignSource::masquerade) || any(ForeignSource::translate))
      hook("traffic_source", Hook{"nat", NF_INET_POST_ROUTING, kNatChainPriority}, kTranslatingMap);
  }

 private:
  bool any(ForeignSource treatment) const {
    return std::ranges::find(program_.foreignSources, treatment, &TrafficForeignSource::treatment) !=
           program_.foreignSources.end();
  }

  std::vector<Rule>& add(std::string name, std::optional<Hook> hook = {}) {
    return chains_.emplace_back(Chain{.name = std::move(name), .hook = hook, .rules = {}}).rules;
  }

  static const char* named(NftSetId id) { return nftSet(id).name; }

  /// TCP that is established takes no notice of an error, and neither does one that is just being opened while its
  /// socket is locked (tcp_v6_err(), 6.18: it tries again a second later); both end with a reset.
  void refuseChain() {
    std::vector<Rule>& rules = add(kRefuseChain);
    rules.emplace_back().isFamily(Family::v6).sourceOf(named(NftSetId::prefix6), Family::v6).thenReturn();
    rules.emplace_back().outputNotIn(named(NftSetId::wan)).thenReturn();
    rules.emplace_back().isProtocol(IPPROTO_TCP).thenReset();
    rules.emplace_back().isFamily(Family::v6).thenRefuse6(kPolicyFailed);
  }

  void masqueradeChain() {
    add(kMasqueradeChain)
        .emplace_back()
        .outputIn(named(NftSetId::wan))
        .isFamily(Family::v6)
        .sourceNotOf(named(NftSetId::prefix6), Family::v6)
        .thenMasquerade();
  }

  void translateChains(const TrafficForeignSource& of) {
    std::vector<Rule>& refused = add(refuseChainName(of.marks.front()));
    for (const TrafficTranslation& each : of.translations)
      refused.emplace_back().outputIs(each.device).isFamily(Family::v6).sourceWithin(each.inside).thenReturn();
    refused.emplace_back().thenGoto(kRefuseChain);
    std::vector<Rule>& translated = add(translateChainName(of.marks.front()));
    translated.emplace_back().isFamily(Family::v6).sourceOf(named(NftSetId::prefix6), Family::v6).thenReturn();
    for (const TrafficTranslation& each : of.translations)
      translated.emplace_back()
          .outputIs(each.device)
          .isFamily(Family::v6)
          .sourceWithin(each.inside)
          .thenTranslateTo(each.outside);
  }

  void hook(const char* name, Hook at, const char* map) {
    add(name, at).emplace_back().isFamily(Family::v6).goByMark(numbers_.markMask, map);
  }

  const Numbers& numbers_;
  const TrafficProgram& program_;
  std::vector<Chain>& chains_;
};

}  // namespace

void addForeignSourceChains(const Numbers& numbers, const TrafficProgram& program, std::vector<Chain>& chains) {
  ForeignSourceChains{numbers, program, chains}.build();
}

}  // namespace wgsteer::nft
