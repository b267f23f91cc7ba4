// SPDX-License-Identifier: GPL-2.0-or-later
// The numbers that wgsteer puts into the kernel, each with its reason. Read top-down, it is the policy. The names of
// sets are in src/core/nft_sets.hpp, those of chains in src/nft/ruleset.cpp.
//
//   fwmark, 32 bits:   31..28        27..16              15..8                7..0
//                     | ours |  pbr, Tailscale 0x00ff0000 | mwan3 0x3f00, sticky 0xfc00 | administrator |
//                        └ 1, 2, 3 ... WANs from below;  15, 14, ... composite policies from above
//
//   ip rule, both families, in evaluation order:
//      0                lookup local                      the kernel
//      N  not fwmark 0/mask                               goto 60                  over a foreign rule at N + 1 that
//                                                                                  would catch our packets
//     59  fwmark <any of the below>                       lookup local             only where `lookup local` stands
//                                                                                  behind our block
//     60  from <address of WAN> fwmark <server policy>    lookup <WAN table>       replies of servers
//     61  goto, then copies of foreign rules, up to 69    lookup <foreign table>   rules that we honour
//     70  fwmark <WAN or policy>/mask                     lookup <its table>       what our marks mean
//     74  the same as 59 without `iif lo`, with `forward`
//     75  the same as 70 without `iif lo`, with `forward`                          WireGuard of hosts behind this one
//     79  to <network> fwmark <a tunnel's own>            lookup <foreign table>   networks behind other tunnels
//     80  fwmark <a tunnel's own foreign fwmark>          lookup <policy table>    wg-quick's 0xca6c and the like
//     81  not fwmark <of traffic>                         goto 98                  with rules for any traffic: nobody
//                                                                                  else's packet sees the rest
//     82                                                  lookup local             only where it stands behind
//     83  copies of foreign rules, up to 89               lookup <foreign table>   what leads elsewhere than to a WAN,
//                                                         or refuse, or goto 90    and what comes before that
//     90                                                  lookup main, without default routes (/0 and /1)
//     91                                                  lookup <each of inside_tables>, likewise
//     91  fwmark <of traffic> oif <WAN>                   lookup <WAN table>       of connections in a flowtable
//     92  iif or oif <WAN>                                goto 98                  came in by it, or is bound to it
//     92  to <what main throws>                           goto 98                  the rules behind main know it
//     93  from <IPv6 prefix of WAN> fwmark <policy>/mask  lookup <WAN table>       with `source_routing`, if the policy
//                                                                                  has that WAN
//     94  fwmark <policy or exit>/mask                    lookup <its table>
//     95  fwmark <chosen exit>/mask                       lookup <policy table>    if that exit is not among the best
//     96  fwmark <policy with last_resort main>/mask      goto 98
//     97                                                  unreachable              a mark whose rule is missing
//     98                                                  nop
//    200  oif <WAN>, or of a tunnel's port                goto <end>               this host's own connections
//    201  copies of foreign rules, up to 206; 207 nop
//    208  from <address of WAN>                           lookup main, then <WAN table>
//    210  five for each rule: exclusions, main's specific routes, the source's WAN, its policy, its last resort or nop
//         N, 59, 61 to 69, 74 and 79 are there only if needed. All but 74, 75, from 81 on and the gotos have `iif lo`:
//         they match only what this host sends. Forwarded packets, and packets that arrive for this host with a mark
//         (except in rp_filter's lookup), are not affected, wherever `lookup local` stands. If a foreign rule among
//         them would catch our packets, the whole block stands behind it.
//    105  NetBird   1001.. mwan3   1300/5200 Tailscale   29745.. pbr   32766 main
//  32760  from <IPv6 prefix of WAN> fwmark 0/mask         lookup local             only where it stands behind
//  32761                                                  lookup main and `inside_tables`, without default routes
//  32763                                                  lookup <WAN table>       with `source_routing`
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>

#include "wgsteer/core/ids.hpp"

namespace wgsteer {

/// Stamp on our rules (FRA_PROTOCOL) and routes (rtm_protocol): identifies them as ours, also after a crash. Values
/// already in use: 0-4, 8-18, 42, 77, 84, 99, 186-192.
inline constexpr std::uint8_t kProtocol = 87;

/// Who made a route (linux/rtnetlink.h): what we ask of the others.
inline constexpr std::uint8_t kByRedirect = 1;
inline constexpr std::uint8_t kByKernel = 2;
inline constexpr std::uint8_t kByBoot = 3;  ///< and ip(8), unless told otherwise
inline constexpr std::uint8_t kByStatic = 4;
inline constexpr std::uint8_t kByRouterAdvertisement = 9;
inline constexpr std::uint8_t kByDhcp = 16;

/// Four bits that no other known program uses as part of a mask: mwan3 0x3f00, its sticky 0xfc00, pbr and Tailscale
/// 0x00ff0000, NetBird 0x1bdxx.
inline constexpr std::uint32_t kDefaultMarkMask = 0xf0000000;
/// The default once there are rules for any traffic, which need a mark for each policy and exit, and for each pair of
/// them. Also disjoint from those named above; writers of whole marks (wg-quick, Calico's 0xffff0000) are not.
inline constexpr std::uint32_t kTrafficMarkMask = 0xff000000;

/// Evaluated before any rule that could catch our packets (the earliest known is NetBird's 105) and after netifd's,
/// which start at 1; outside 1000-3999, which `mwan3 stop` deletes whoever owns them.
inline constexpr std::uint32_t kDefaultRulePriority = 60;
inline constexpr std::uint32_t kServerReplyOffset = 0;
/// Here foreign rules that we honour are repeated, in seven steps, after two rules that select the packets they apply
/// to: see docs/how-it-works.md.
inline constexpr std::uint32_t kHonouredOffset = 1;
inline constexpr std::uint32_t kMarkOffset = 10;
inline constexpr std::uint32_t kForwardedOffset = 15;
inline constexpr std::uint32_t kForeignMarkOffset = 20;
/// The first and the last rule for any traffic, and those between them, in their order.
inline constexpr std::uint32_t kTrafficOffset = 21;
inline constexpr std::uint32_t kTrafficLocalOffset = 22;
/// Copies of foreign rules in their order, as far as there are steps.
inline constexpr std::uint32_t kTrafficForeignOffset = 23;
inline constexpr std::uint32_t kTrafficForeignSteps = 7;
inline constexpr std::uint32_t kTrafficMainOffset = 30;
inline constexpr std::uint32_t kTrafficInsideOffset = 31;
inline constexpr std::uint32_t kTrafficPastOffset = 32;
inline constexpr std::uint32_t kTrafficSourceOffset = 33;
inline constexpr std::uint32_t kTrafficMarkOffset = 34;
inline constexpr std::uint32_t kTrafficOtherwiseOffset = 35;
inline constexpr std::uint32_t kTrafficLastResortOffset = 36;
inline constexpr std::uint32_t kTrafficClosingOffset = 37;
inline constexpr std::uint32_t kTrafficEndOffset = 38;
/// Packets that nobody has steered, by their IPv6 source: right before main (32766), so that every other program's
/// rules come first (mwan3's, Tailscale's 5200 and pbr's 29745, networkd's and wg-quick's wherever they are).
inline constexpr std::uint32_t kSourceLocalPriority = 32760;
inline constexpr std::uint32_t kSourceInsidePriority = 32761;
inline constexpr std::uint32_t kSourcePriority = 32763;
/// Rules for this host's own connections: behind programs that are about particular destinations (NetBird's 105),
/// before mwan3's (from 1001 on), as long as the base is the default.
inline constexpr std::uint32_t kLocalTrafficOffset = 140;
inline constexpr std::uint32_t kLocalForeignOffset = 141;
inline constexpr std::uint32_t kLocalForeignSteps = 6;
inline constexpr std::uint32_t kLocalForeignEndOffset = 147;
inline constexpr std::uint32_t kLocalSourceOffset = 148;
inline constexpr std::uint32_t kLocalRulesOffset = 150;
/// Of each rule, in this order: what it excludes, main's specific routes, its policy, what follows, the end.
inline constexpr std::uint32_t kLocalRuleSize = 5;
inline constexpr std::uint32_t kLocalRulesAtMost = 100;
inline constexpr std::uint32_t kLocalEndOffset = kLocalRulesOffset + (kLocalRulesAtMost + 1) * kLocalRuleSize;
/// A foreign rule before ours that catches our packets is jumped over by a goto just before it, but not below this
/// priority: wg-quick needs two free ones, in order, or its user loses access to the LAN. A higher floor would leave
/// out the rules at 9 and 10 that networkd's users write.
inline constexpr std::uint32_t kJumpFloor = 4;
/// Size of our block of priorities, starting at the base; without the copies of `lookup local`, right before it, and
/// rules for this host's own connections.
inline constexpr std::uint32_t kRuleBlockSize = 40;
/// The last usable base: with rules for any traffic, the last of ours is still before those by IPv6 source.
inline constexpr std::uint32_t kMaxRulePriority = kSourceLocalPriority - 1 - kLocalEndOffset;

/// `suppress_ifgroup` of our rules that look up a foreign table: a group without devices, so its only effect is to
/// identify the rule as ours.
inline constexpr std::int64_t kStampGroup = 0x57470000;
/// The lower half may tell rules apart that the kernel takes for one: it ignores a prefix that only one of two rules
/// has, when it looks whether a rule is there already and when it deletes one (fib4_rule_compare(), 6.18).
constexpr bool isStamp(std::int64_t group) { return (group & 0xffff0000) == kStampGroup; }

/// "WG" in ASCII. mwan3 flushes tables 1..60 (with a wide mask 252) and pbr counts upward from 256.
inline constexpr std::uint32_t kWanTableBase = 0x57470000;
inline constexpr std::uint32_t kPolicyTableBase = 0x57470100;
/// One exit of a policy alone, without a closing route.
inline constexpr std::uint32_t kMemberTableBase = 0x57470200;
/// All tables of ours: base .. base + 0x3ff.
inline constexpr std::uint32_t kTableCount = 0x400;

/// Metric of the `unreachable default` that closes a table: the largest possible, so that any real route wins.
inline constexpr std::uint32_t kClosingMetric = 0xffffffff;
/// On-link prefixes of devices that are not WANs come after those of WANs.
inline constexpr std::uint32_t kLanMetric = 0xfffffff0;
/// Metrics of main are copied as they are, plus one, up to this: what we add by ourselves comes after all of them.
inline constexpr std::uint32_t kHighestCopiedMetric = kLanMetric - 0x1000;
/// The highest that a configuration may name: below those of on-link prefixes and of closing routes.
inline constexpr std::uint32_t kMaxMetric = 0xfffffeff;
/// The kernel turns IPv6 metric 0 into 1024; starting at 1 makes both families read alike.
inline constexpr std::uint32_t kMinMetric = 1;

inline constexpr TableId kLocalTable{255};
inline constexpr TableId kMainTable{254};
inline constexpr TableId kDefaultTable{253};

/// nftables: one table of family inet, and no changes to any other table.
inline constexpr std::string_view kNftTable = "wgsteer";
/// The comment of the table: our mark of ownership, and the version of its layout.
inline constexpr std::string_view kNftOwnershipPrefix = "wgsteer ";
/// Raise it whenever the fixed chains (nft/ruleset.cpp) or the sets (core/nft_sets.hpp) change: a table of another
/// version is replaced in one transaction.
inline constexpr const char* kNftTableComment = "wgsteer 7";
/// Before conntrack (-200), so that stateful firewalls see the corrected source.
inline constexpr std::int32_t kSourceChainPriority = -300;
/// raw + 1: right after that one, and before conntrack as well.
inline constexpr std::int32_t kOutputChainPriority = -299;
/// raw - 1: reverse path filters look up routes by the mark at mangle (-150: NixOS, older firewalld) or at raw, and of
/// two chains at one priority the order depends on which was made first.
inline constexpr std::int32_t kEarlyChainPriority = -301;
/// mangle + 2: after fw4, mwan3 and pbr (-150) and mwan3-nft (-149), so that none of them overwrites our bits.
inline constexpr std::int32_t kMangleChainPriority = -148;
/// mangle: after the filter chains of other programs, which may change the mark of outgoing packets, and before
/// conntrack confirms them.
inline constexpr std::int32_t kSentChainPriority = -150;
/// Right after the chains that mark WireGuard's packets, and after everybody who restores the connection's whole mark
/// to the packet (wg-quick, -150).
inline constexpr std::int32_t kTrafficChainPriority = -147;
/// Behind NAT, and behind everybody who saves the packet's whole mark to the connection (-150); before conntrack
/// confirms it.
inline constexpr std::int32_t kLeavingChainPriority = 300;
/// filter + 1: a firewall that drops a packet does so without our answer.
inline constexpr std::int32_t kRefusalChainPriority = 1;
/// srcnat - 1: the first to translate wins, and only we know which source is wrong.
inline constexpr std::int32_t kNatChainPriority = 99;

/// Numbers that the configuration may override.
struct Numbers {
  std::uint32_t markMask = kDefaultMarkMask;
  std::uint32_t rulePriority = kDefaultRulePriority;

  /// How many marks there are: 15 for four bits. Only for contiguous masks, see validMarkMask().
  constexpr unsigned slotCount() const {
    const std::uint32_t count = markMask >> std::countr_zero(markMask);
    return count < 255 ? count : 255;
  }
  constexpr MarkMatch mark(Slot slot) const {
    return {static_cast<std::uint32_t>(slot.value) << std::countr_zero(markMask), markMask};
  }
  constexpr Mark markOf(Slot slot) const { return {mark(slot).value}; }
  /// The slot in our bits of a mark, whatever the others are; nullopt: none.
  constexpr std::optional<Slot> slotIn(std::uint32_t mark) const {
    const std::uint32_t number = (mark & markMask) >> std::countr_zero(markMask);
    if (number == 0 || number > slotCount()) return std::nullopt;
    return Slot{static_cast<std::uint8_t>(number)};
  }
  constexpr TableId wanTable(Slot slot) const { return {kWanTableBase + slot.value}; }
  constexpr TableId policyTable(Slot slot) const { return {kPolicyTableBase + slot.value}; }
  constexpr TableId memberTable(Slot slot) const { return {kMemberTableBase + slot.value}; }
  constexpr std::uint32_t localPriority() const { return rulePriority - 1; }
  constexpr std::uint32_t serverReplyPriority() const { return rulePriority + kServerReplyOffset; }
  constexpr std::uint32_t honouredPriority() const { return rulePriority + kHonouredOffset; }
  constexpr std::uint32_t markPriority() const { return rulePriority + kMarkOffset; }
  constexpr std::uint32_t forwardedPriority() const { return rulePriority + kForwardedOffset; }
  constexpr std::uint32_t tunnelNetworksPriority() const { return foreignMarkPriority() - 1; }
  constexpr std::uint32_t foreignMarkPriority() const { return rulePriority + kForeignMarkOffset; }
  /// The second quarter of the slots, from this one on, is for any traffic: one rule tells them all from the rest.
  constexpr Slot firstTrafficSlot() const { return Slot{static_cast<std::uint8_t>((slotCount() + 1) / 4)}; }
  constexpr unsigned trafficSlotCount() const { return (slotCount() + 1) / 4; }
  constexpr MarkMatch trafficMarks() const {
    const std::uint32_t within = (trafficSlotCount() - 1) << std::countr_zero(markMask);
    return {mark(firstTrafficSlot()).value, markMask & ~within};
  }
  /// Whether a device's fwmark is one that we set: only our bits, at least one.
  constexpr bool isOurs(Mark mark) const { return mark.value != 0 && (mark.value & ~markMask) == 0; }

  bool operator==(const Numbers&) const = default;
};

/// From 2 to 16 contiguous bits: it has room for slots, and leaves others theirs.
constexpr bool validMarkMask(std::uint32_t mask) {
  if (mask == 0 || std::popcount(mask) < 2 || std::popcount(mask) > 16) return false;
  const std::uint32_t shifted = mask >> std::countr_zero(mask);
  return (shifted & (shifted + 1)) == 0;
}

constexpr bool isOurTable(TableId table) {
  return table.value >= kWanTableBase && table.value < kWanTableBase + kTableCount;
}

static_assert((kDefaultMarkMask & (0x3f00U | 0xfc00U | 0x00ff0000U)) == 0, "disjoint from mwan3, pbr, Tailscale");
static_assert(validMarkMask(kDefaultMarkMask));
static_assert(kDefaultRulePriority + kRuleBlockSize <= 100, "below NetBird's 105");
static_assert(kDefaultRulePriority + kLocalEndOffset <= 1000, "below mwan3's 1001");
static_assert(kServerReplyOffset < kHonouredOffset && kHonouredOffset < kMarkOffset,
              "below the fwmark rules, server replies would do nothing");

}  // namespace wgsteer
