// SPDX-License-Identifier: GPL-2.0-or-later
// One rule, assembled from the expressions of the kernel's nf_tables machine. Registers and the order of expressions
// are those that nft(8) itself would choose, so that `nft list table inet wgsteer` reads as if it had been typed.
#pragma once

#include <cstdint>
#include <string>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"

#include "nft/handles.hpp"

namespace wgsteer::nft {

class Rule {
 public:
  Rule() : rule_(newRule()) {}

  Rule& isUdp();                                        ///< meta l4proto udp
  Rule& isFamily(Family family);                        ///< meta nfproto ipv4
  Rule& isUnmarked();                                   ///< meta mark 0
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
  Rule& thenReturn();
  Rule& thenJump(const char* chain);
  Rule& thenGoto(const char* chain);
  Rule& thenDrop();
  Rule& thenMasquerade();
  Rule& count();                                 ///< counter
  Rule& countNamed(const std::string& counter);  ///< counter name "responses_1"
  Rule& countByOutput(const char* map);          ///< counter name oifname map @map
  Rule& stampMark(MarkMatch mark);               ///< meta mark set meta mark & ~MASK | VALUE

  nftnl_rule* get() const { return rule_.get(); }

 private:
  Rule& add(ExpressionPtr expression);
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
