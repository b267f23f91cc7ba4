// SPDX-License-Identifier: GPL-2.0-or-later
// Translates what iptables-nft leaves to xtables into steps of nf_tables: each structure is that of the kernel's
// header, as filled in by iptables(8).
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <netinet/in.h>
// After libc's <netinet/in.h>: see netlink/kernel_headers.hpp.
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_rpfilter.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <string_view>

#include "nft/foreign_rule.hpp"

namespace wgsteer::nft {

namespace {

using namespace firewall;

using Steps = std::vector<Step>;

template <class T>
Bytes bytesOf(const T& value) {
  Bytes bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

MaskXor changed(Register word, std::uint32_t mask, std::uint32_t toggled) {
  return {word, word, bytesOf(mask), bytesOf(toggled)};
}

Compare compared(bool inverted, std::uint32_t value) {
  return {kScratch, inverted ? Relation::notEqual : Relation::equal, bytesOf(value)};
}

/// The structures of `mark` and `connmark` are the same.
template <class Info>
bool markMatch(Field field, const XtExtension& match, Steps& steps) {
  const auto info = netlink::readInteger<Info>(match.info);
  if (!info || match.revision != 1) return false;
  steps.emplace_back(LoadField{field, kScratch});
  steps.emplace_back(changed(kScratch, info->mask, 0));
  steps.emplace_back(compared(info->invert != 0, info->mark));
  return true;
}

bool rpfilter(const XtExtension& match, TableFamily family, Steps& steps) {
  const auto info = netlink::readInteger<xt_rpfilter_info>(match.info);
  if (!info) return false;
  const bool loose = (info->flags & XT_RPFILTER_LOOSE) != 0;
  steps.emplace_back(LoadRoute{.ofSource = true,
                               .withMark = (info->flags & XT_RPFILTER_VALID_MARK) != 0,
                               .byInput = !loose,
                               .prefersInput = !loose && family == TableFamily::ip6,
                               .result = LoadRoute::Result::present,
                               .to = kScratch});
  const std::uint8_t expected = (info->flags & XT_RPFILTER_INVERT) != 0 ? 0 : 1;
  steps.emplace_back(Compare{kScratch, Relation::equal, {expected}});
  return true;
}

void addressType(bool ofSource, std::uint16_t types, bool inverted, Steps& steps) {
  steps.emplace_back(LoadRoute{.ofSource = ofSource, .result = LoadRoute::Result::type, .to = kScratch});
  if (std::has_single_bit(types))
    return void(steps.emplace_back(compared(inverted, static_cast<std::uint32_t>(std::countr_zero(types)))));
  Set set;
  for (std::uint32_t type = 0; type < 16; ++type)
    if ((std::uint32_t{types} >> type & 1U) != 0)
      set.elements.push_back({.key = bytesOf(type), .data = {}, .verdict = {}});
  std::ranges::sort(set.elements, {}, &Set::Element::key);
  Lookup lookup;
  lookup.name = "__types";
  lookup.from = kScratch;
  lookup.inverted = inverted;
  lookup.set = std::make_shared<const Set>(std::move(set));
  steps.emplace_back(std::move(lookup));
}

bool addrtype(const XtExtension& match, Steps& steps) {
  const auto info = netlink::readInteger<xt_addrtype_info_v1>(match.info);
  constexpr std::uint32_t kInversions = XT_ADDRTYPE_INVERT_SOURCE | XT_ADDRTYPE_INVERT_DEST;
  if (!info || match.revision != 1 || (info->flags & ~kInversions) != 0) return false;
  if (info->source != 0) addressType(true, info->source, (info->flags & XT_ADDRTYPE_INVERT_SOURCE) != 0, steps);
  if (info->dest != 0) addressType(false, info->dest, (info->flags & XT_ADDRTYPE_INVERT_DEST) != 0, steps);
  return true;
}

void connectionState(std::uint32_t states, bool inverted, Steps& steps) {
  steps.emplace_back(LoadField{Field::connectionState, kScratch});
  steps.emplace_back(changed(kScratch, states, 0));
  steps.emplace_back(compared(!inverted, 0));
}

bool conntrack(const XtExtension& match, Steps& steps) {
  // Common to revisions 2 and 3, which differ in what follows.
  const auto info = netlink::readInteger<xt_conntrack_mtinfo2>(match.info);
  if (!info || match.revision < 2 || match.revision > 3 || info->match_flags != XT_CONNTRACK_STATE) return false;
  connectionState(info->state_mask, (info->invert_flags & XT_CONNTRACK_STATE) != 0, steps);
  return true;
}

bool state(const XtExtension& match, Steps& steps) {
  const auto states = netlink::readInteger<std::uint32_t>(match.info);
  if (states) connectionState(*states, false, steps);
  return states.has_value();
}

void ports(const __u16 (&range)[2], std::uint32_t offset, bool inverted, Steps& steps) {
  if (range[0] == 0 && range[1] == 0xffff && !inverted) return;
  const auto wire = [](std::uint16_t port) {
    return Bytes{static_cast<std::uint8_t>(port >> 8U), static_cast<std::uint8_t>(port)};
  };
  steps.emplace_back(LoadPayload{Header::transport, offset, 2, kScratch});
  steps.emplace_back(Within{kScratch, wire(range[0]), wire(range[1]), inverted});
}

bool udp(const XtExtension& match, Steps& steps) {
  const auto info = netlink::readInteger<xt_udp>(match.info);
  if (!info) return false;
  ports(info->spts, 0, (info->invflags & XT_UDP_INV_SRCPT) != 0, steps);
  ports(info->dpts, 2, (info->invflags & XT_UDP_INV_DSTPT) != 0, steps);
  return true;
}

bool setMark(const XtExtension& target, Steps& steps) {
  const auto info = netlink::readInteger<xt_mark_tginfo2>(target.info);
  if (!info || target.revision != 2) return false;
  steps.emplace_back(LoadField{Field::mark, kScratch});
  steps.emplace_back(changed(kScratch, ~info->mask, info->mark));
  steps.emplace_back(StoreMark{kScratch, false});
  return true;
}

/// A mark of which some bits are shifted into the other: their values are not followed, their places are.
void shiftedMark(const xt_connmark_tginfo2& info, Steps& steps) {
  constexpr Register kShifted = kScratch;
  constexpr Register kTarget = kScratch + 1;
  const bool saves = info.mode == XT_CONNMARK_SAVE;
  const bool right = info.shift_dir == D_SHIFT_RIGHT;
  const auto moved = [&](std::uint32_t bits) {
    return info.shift_bits > 31 ? 0 : right ? bits >> info.shift_bits : bits << info.shift_bits;
  };
  const std::string by = (right ? " >> " : " << ") + std::to_string(info.shift_bits);
  steps.emplace_back(LoadUnknown{(saves ? "meta mark" : "ct mark") + by, kShifted});
  if (info.mode == XT_CONNMARK_SET) return void(steps.emplace_back(StoreMark{kShifted, true}));
  steps.emplace_back(LoadField{saves ? Field::connectionMark : Field::mark, kTarget});
  steps.emplace_back(Combine{kTarget, kTarget, ~(saves ? info.ctmask : info.nfmask), kShifted,
                             moved(saves ? info.nfmask : info.ctmask)});
  steps.emplace_back(StoreMark{kTarget, saves});
}

bool connectionMark(const XtExtension& target, Steps& steps) {
  constexpr Register kPacket = kScratch;
  constexpr Register kConnection = kScratch + 1;
  xt_connmark_tginfo1 info{};
  if (target.revision == 1 && target.info.size() >= sizeof info) {
    std::memcpy(&info, target.info.data(), sizeof info);
  } else if (const auto newer = netlink::readInteger<xt_connmark_tginfo2>(target.info); newer && target.revision == 2) {
    if (newer->shift_bits != 0) return shiftedMark(*newer, steps), true;
    info = {.ctmark = newer->ctmark, .ctmask = newer->ctmask, .nfmask = newer->nfmask, .mode = newer->mode};
  } else {
    return false;
  }
  steps.emplace_back(LoadField{Field::mark, kPacket});
  steps.emplace_back(LoadField{Field::connectionMark, kConnection});
  if (info.mode == XT_CONNMARK_SET)
    steps.emplace_back(changed(kConnection, ~info.ctmask, info.ctmark));
  else if (info.mode == XT_CONNMARK_SAVE)
    steps.emplace_back(Combine{kConnection, kConnection, ~info.ctmask, kPacket, info.nfmask});
  else
    steps.emplace_back(Combine{kPacket, kPacket, ~info.nfmask, kConnection, info.ctmask});
  const bool restores = info.mode == XT_CONNMARK_RESTORE;
  steps.emplace_back(StoreMark{restores ? kPacket : kConnection, !restores});
  return true;
}

constexpr auto kGoOn =
    std::to_array<std::string_view>({"LOG", "NFLOG", "TCPMSS", "TOS", "DSCP", "TTL", "HL", "CLASSIFY", "CHECKSUM",
                                     "SET", "TRACE", "AUDIT", "TEE", "SECMARK", "CONNSECMARK"});
constexpr auto kTranslations = std::to_array<std::string_view>({"MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"});

}  // namespace

void appendMatch(const XtExtension& match, TableFamily family, Steps& steps) {
  const std::string_view name = match.name;
  const bool known = name == "comment" || (name == "mark" && markMatch<xt_mark_mtinfo1>(Field::mark, match, steps)) ||
                     (name == "connmark" && markMatch<xt_connmark_mtinfo1>(Field::connectionMark, match, steps)) ||
                     (name == "rpfilter" && rpfilter(match, family, steps)) ||
                     (name == "addrtype" && addrtype(match, steps)) ||
                     (name == "conntrack" && conntrack(match, steps)) || (name == "state" && state(match, steps)) ||
                     (name == "udp" && udp(match, steps));
  if (!known) steps.emplace_back(MayMatch{"-m " + match.name});
}

void appendTarget(const XtExtension& target, Steps& steps) {
  const std::string_view name = target.name;
  if (name == "MARK" && setMark(target, steps)) return;
  if (name == "CONNMARK" && connectionMark(target, steps)) return;
  if (name == "REJECT") return void(steps.emplace_back(Verdict{Verdict::Kind::reject, {}}));
  // CT has an option not to track (--notrack).
  if (name == "CT" || name == "NOTRACK") return void(steps.emplace_back(Untrack{}));
  if (isOneOf(name, kTranslations)) {
    steps.emplace_back(Translate{});
    return void(steps.emplace_back(Verdict{Verdict::Kind::accept, {}}));
  }
  if (!isOneOf(name, kGoOn)) steps.emplace_back(Verdict{Verdict::Kind::mayEnd, "-j " + target.name});
}

}  // namespace wgsteer::nft
