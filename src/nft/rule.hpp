// SPDX-License-Identifier: GPL-2.0-or-later
// One rule, assembled from the expressions of the kernel's nf_tables machine. Registers and the order of expressions
// are those that nft(8) itself would choose, so that `nft list table inet wgsteer` reads as if it had been typed.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/traffic.hpp"

#include "nft/handles.hpp"

namespace wgsteer::nft {

class Rule {
 public:
  Rule() : rule_(newRule()) {}

  Rule& isUdp();                                        ///< meta l4proto udp
  Rule& isFamily(Family family);                        ///< meta nfproto ipv4
  Rule& isUnmarked();                                   ///< meta mark 0
  Rule& isMarked();                                     ///< meta mark != 0
  Rule& noneOf(std::uint32_t mask);                     ///< meta mark & MASK == 0
  Rule& anyOf(std::uint32_t mask);                      ///< meta mark & MASK != 0
  Rule& hasMark(MarkMatch mark);                        ///< meta mark & MASK == VALUE
  Rule& cameIn();                                       ///< iif != 0: not sent by this host
  Rule& markIn(const char* set);                        ///< meta mark @set
  Rule& markNotIn(const char* set);                     ///< meta mark != @set
  Rule& goByMark(std::uint32_t mask, const char* map);  ///< meta mark & MASK vmap @map
  Rule& inputNotIn(const char* set);                    ///< iifname != @set
  Rule& outputIn(const char* set);                      ///< oifname @set
  /// iifname . ip daddr @set
  Rule& destinationOf(const char* set, Family family);
  Rule& sourceIn(const char* set, Family family);  ///< ip saddr @set
  /// oifname . ip saddr != @set
  Rule& sourceNotOf(const char* set, Family family);
  /// ip saddr set oifname map @map: with the checksums of IPv4 and of UDP
  Rule& setSource(const char* map, Family family);
  /// ip saddr set meta mark & MASK map @map
  Rule& setSourceByMark(std::uint32_t mask, const char* map, Family family);
  Rule& destinationPortIn(const char* set);            ///< udp dport @set
  Rule& sourcePortIn(const char* set);                 ///< udp sport @set
  Rule& goByEndpoint(const char* map, Family family);  ///< ip daddr . udp dport vmap @map
  Rule& goByFlow(const char* map, Family family);      ///< ip daddr . udp dport . udp sport vmap @map
  Rule& goByInput(const char* map);                    ///< iifname vmap @map
  Rule& isWireGuard(std::uint8_t messageType);         ///< @th,64,32 0x01000000
  Rule& typeOfNoWireGuard();                           ///< @th,64,8 > 7
  Rule& reservedOfNoWireGuard();                       ///< @th,72,24 != 0
  Rule& notUdpReturn();                                ///< meta l4proto != udp return

  // For any traffic. Connections are those of conntrack; a packet that it does not track matches none of these.
  Rule& hasConnectionMark(MarkMatch mark);                                ///< ct mark & MASK == VALUE
  Rule& goByConnectionMark(std::uint32_t mask, const char* map);          ///< ct mark & MASK vmap @map
  Rule& stampConnectionMark(MarkMatch mark);                              ///< ct mark set ct mark & ~MASK | VALUE
  Rule& isInState(std::uint32_t states);                                  ///< ct state new, a mask of NF_CT_STATE_BIT()
  Rule& hasBegun();                                                       ///< ct status confirmed: not its first packet
  Rule& isMidStream();                                                    ///< tcp flags & (syn | rst) == 0x0
  Rule& isOriginal();                                                     ///< ct direction original
  Rule& isReply();                                                        ///< ct direction reply
  Rule& hasNotMark(MarkMatch mark);                                       ///< meta mark & MASK != VALUE
  Rule& inputIn(const char* set);                                         ///< iifname @set
  Rule& outputIs(const IfName& device);                                   ///< oifname "wan0"
  Rule& fromHere();                                                       ///< iif 0: sent by this host
  Rule& isProtocol(std::uint8_t protocol);                                ///< meta l4proto N
  Rule& destinationPortBetween(std::uint16_t first, std::uint16_t last);  ///< th dport FIRST-LAST
  Rule& icmpTypeBetween(std::uint8_t first, std::uint8_t last);           ///< icmpv6 type FIRST-LAST
  Rule& destinationIsOfType(std::uint32_t type);                          ///< fib daddr type local, an RTN_ value
  Rule& destinationTypeBetween(std::uint32_t first, std::uint32_t last);  ///< fib daddr type 2-5, RTN_ values
  Rule& hasCodePoint(Family family, std::uint8_t dscp);                   ///< ip dscp N
  /// ip dscp != N ip dscp != M ...
  Rule& hasNoneOf(Family family, const std::vector<std::uint8_t>& dscps);
  Rule& fieldIn(TrafficField field, const char* set, bool inverted);             ///< ip saddr @set
  Rule& goByField(TrafficField field, const char* map);                          ///< ip saddr vmap @map
  Rule& nextHopIs(const Address& router);                                        ///< rt ip nexthop ADDRESS
  Rule& randomBelow(std::uint32_t sum, std::uint32_t limit);                     ///< numgen random mod SUM < LIMIT
  Rule& sourceHashBelow(Family family, std::uint32_t sum, std::uint32_t limit);  ///< jhash ip saddr mod SUM < LIMIT
  Rule& pairHashBelow(Family family, std::uint32_t sum, std::uint32_t limit);    ///< jhash ip saddr . ip daddr mod ...
  /// ip saddr @set; ip6 saddr & ffff:ffff:ffff:ffff:: @set
  Rule& sourceRemembered(Family family, const char* set);
  /// update @set { ct original ip saddr timeout T }: of the connection, before NAT. Nothing may follow: a full set ends
  /// the rule.
  Rule& remember(Family family, const char* set, std::chrono::milliseconds timeout);
  Rule& forget(Family family, const char* set);    ///< delete @set { ct original ip saddr }
  Rule& outputNotIn(const char* set);              ///< oifname != @set
  Rule& sourceOf(const char* set, Family family);  ///< oifname . ip saddr @set
  Rule& sourceWithin(const Prefix& prefix);        ///< ip6 saddr PREFIX

  Rule& thenReturn();
  Rule& thenJump(const char* chain);
  Rule& thenGoto(const char* chain);
  Rule& thenDrop();
  Rule& thenMasquerade();
  Rule& thenTranslateTo(const Prefix& prefix);   ///< snat ip6 prefix to PREFIX
  Rule& thenReset();                             ///< reject with tcp reset
  Rule& thenRefuse6(std::uint8_t code);          ///< reject with icmpv6 CODE
  Rule& count();                                 ///< counter
  Rule& countNamed(const std::string& counter);  ///< counter name "responses_1"
  Rule& countByOutput(const char* map);          ///< counter name oifname map @map
  Rule& stampMark(MarkMatch mark);               ///< meta mark set meta mark & ~MASK | VALUE

  nftnl_rule* get() const { return rule_.get(); }

 private:
  Rule& add(ExpressionPtr expression);
  Rule& loadConnection(std::uint32_t key);
  Rule& loadAddressType();
  Rule& loadCodePoint(Family family);
  Rule& compareCodePoint(Family family, std::uint32_t operation, std::uint8_t dscp);
  Rule& maskBytes(std::initializer_list<std::uint8_t> mask);
  Rule& loadField(TrafficField field);
  Rule& loadOriginalSource(Family family);
  Rule& maskHost(Family family);
  Rule& inNetworkOrder();
  Rule& hashBelow(std::uint32_t length, std::uint32_t sum, std::uint32_t limit);
  Rule& maskAddress6(std::uint8_t length);
  Rule& loadImmediate(const Address& address, std::uint32_t reg);
  Rule& below(std::uint32_t limit);
  Rule& changeSet(std::uint32_t operation, const char* set, std::chrono::milliseconds timeout);
  Rule& loadMeta(std::uint32_t key, std::uint32_t reg);
  Rule& loadPayload(std::uint32_t base, std::uint32_t offset, std::uint32_t length, std::uint32_t reg);
  Rule& maskAndXor(std::uint32_t mask, std::uint32_t bits);
  Rule& compare(std::uint32_t op, const void* bytes, std::uint32_t length);
  Rule& lookup(const char* set, bool inverted);
  Rule& lookupInto(const char* map, std::uint32_t reg);
  Rule& writeSource(Family family);
  Rule& verdict(int code, const char* chain = nullptr);

  RulePtr rule_;
};

/// The rule as text in libnftnl's format, without what changes by itself (counter values): equal texts, equal rules.
std::string canonicalText(nftnl_rule* rule);

}  // namespace wgsteer::nft
