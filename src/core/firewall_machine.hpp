// SPDX-License-Identifier: GPL-2.0-or-later
// Evaluates one rule for one packet in three-valued logic: a rule matches, does not, or may; a bit of a register is
// known or not.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/firewall.hpp"

namespace wgsteer::firewall {

/// A packet of a tunnel, a probe of ours, or any other, as netfilter sees it. Missing fields are unknown.
struct Sample {
  Family family = Family::v4;
  std::uint8_t protocol = 17;
  std::optional<Address> source = std::nullopt;
  std::optional<Address> destination = std::nullopt;
  std::optional<std::uint16_t> sourcePort = std::nullopt;
  std::optional<std::uint16_t> destinationPort = std::nullopt;
  IfName device;  ///< by which it leaves or has come in
  IfIndex deviceIndex = {};
  bool incoming = false;
  Mark mark = {};
  std::uint32_t connectionState = kNew;
  MarkMatch expected = {};  ///< the bits of the mark that route it correctly, and their required value
  /// The mark that our chains give it if it has none, as correct as the expected one.
  std::optional<MarkMatch> again = std::nullopt;
  /// Not WireGuard's and no probe: its protocol and its devices (but for lo) are unknown, and which of its addresses
  /// are ours.
  bool anyTraffic = false;
};

/// A mark of which some bits may be unknown.
struct PartialMark {
  std::uint32_t value = 0;
  std::uint32_t known = 0xffffffff;
  bool isKnown(std::uint32_t mask) const { return (known & mask) == mask; }
  bool operator==(const PartialMark&) const = default;
};

/// Whether, for this mark, there is a route to an address (by the device on which the packet came in).
struct RouteQuestion {
  LoadRoute load;
  Address target;
  std::optional<Address> other;  ///< the packet's other address
  Mark mark;
};
/// nullopt: unknown.
using RouteOracle = std::function<std::optional<bool>(const RouteQuestion&, const Sample&)>;

enum class Match : std::uint8_t { no, maybe, yes };

/// A mark that a rule writes.
struct MarkStore {
  bool ofConnection = false;
  Match match = Match::yes;
  PartialMark before;
  PartialMark after;
  std::uint32_t kept = 0;       ///< bits that are, or may be, what they were
  std::uint32_t fromOther = 0;  ///< bits that are those of the other mark: saved or restored
};

struct RuleResult {
  Match match = Match::yes;
  std::optional<Verdict> verdict;
  bool setsExpectedBits = false;  ///< of Sample::expected, for certain
  std::vector<MarkStore> stores = {};
};

class Machine {
 public:
  explicit Machine(RouteOracle oracle) : oracle_(std::move(oracle)) {}

  void load(const Sample& sample);
  void enter(HookPoint point, std::int32_t priority);
  /// `certain`: the packet certainly reaches this rule.
  RuleResult run(const Rule& rule, bool certain);

  const Sample& sample() const { return sample_; }
  PartialMark mark() const { return mark_; }
  void setMark(PartialMark mark) { mark_ = mark; }
  void forgetMark() { mark_.known = 0; }
  PartialMark connectionMark() const { return connectionMark_; }
  void setConnectionMark(PartialMark mark) { connectionMark_ = mark; }

 private:
  using Span = std::span<const std::uint8_t>;
  /// What is in a register, whether or not its value is known.
  struct Origin {
    std::uint32_t mark = 0;        ///< bits that are those of the packet's mark
    std::uint32_t connection = 0;  ///< bits that are those of the connection's
    bool device = false;           ///< the name or index of an unknown device that is not lo
  };

  void step(const LoadField& load, RuleResult& result);
  void step(const LoadPayload& load, RuleResult& result);
  void step(const LoadRoute& load, RuleResult& result);
  void step(const LoadValue& load, RuleResult& result);
  void step(const LoadUnknown& load, RuleResult& result);
  void step(const MaskXor& change, RuleResult& result);
  void step(const Combine& change, RuleResult& result);
  void step(const Compare& test, RuleResult& result);
  void step(const Within& test, RuleResult& result);
  void step(const Lookup& lookup, RuleResult& result);
  void step(const StoreMark& change, RuleResult& result);
  void step(const Untrack& untrack, RuleResult& result);
  void step(const Translate& change, RuleResult& result);
  void step(const MayMatch& test, RuleResult& result);
  void step(const Verdict& verdict, RuleResult& result);

  void storeRouteResult(const LoadRoute& load, std::optional<bool> found);
  void take(const Lookup& lookup, const Set::Element& element, RuleResult& result);

  void put(Register to, Span bytes);
  void putUnknown(Register to, std::size_t size);
  void putWord(Register to, std::uint32_t value, std::uint32_t known = 0xffffffff);
  void putName(Register to, const IfName& name);
  void putMark(Register to, PartialMark mark, Origin origin);
  void putDevice(Register to, Field field);
  void putCommon(Register to, const Set& set);
  PartialMark word(Register from) const;
  Origin originOf(Register from) const { return from < kRegisters ? origins_[from] : Origin{}; }
  Match equals(Register from, Span value) const;
  bool allKnown(Register from, std::size_t size) const;
  Span at(Register from, std::size_t size) const;

  static constexpr std::size_t kBytes = kRegisters * kWordSize;

  RouteOracle oracle_;
  Sample sample_;
  HookPoint point_ = HookPoint::output;
  PartialMark mark_;
  PartialMark connectionMark_;
  bool untracked_ = false;
  bool mayBeTranslated_ = false;
  bool afterConntrack_ = true;
  bool certain_ = true;

  std::array<std::uint8_t, kBytes> bytes_{};
  std::array<std::uint8_t, kBytes> known_{};  ///< bits
  std::array<Origin, kRegisters> origins_{};
};

}  // namespace wgsteer::firewall
