// SPDX-License-Identifier: GPL-2.0-or-later
// Walks one packet through the chains of other programs, with ours in between. Only certain outcomes are reported,
// but all marks that may be written.
#pragma once

#include <array>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "core/firewall_machine.hpp"

namespace wgsteer::firewall {

/// What one of our own chains does to the sample's mark: sets Sample::again, always or when there is none.
struct OwnStamp {
  std::int32_t priority = 0;
  bool onlyWhenCleared = false;
};

struct Place {
  const Chain* base = nullptr;
  const Chain* chain = nullptr;
  const Rule* rule = nullptr;  ///< null: the policy of the base chain
  bool operator==(const Place&) const = default;
};

struct Happening {
  enum class Kind : std::uint8_t {
    rerouted,  ///< by a mark other than the expected one
    lost,      ///< the mark is not the expected one where it is still needed
    dropped,
    rejected,
  };
  Kind kind = Kind::dropped;
  Place place;
  bool operator==(const Happening&) const = default;
};

/// table inet filter, chain out (output, priority 0): "meta mark set 0x0"
std::string describe(const Place& place);

/// A rule that writes a mark, or may.
struct Written {
  Place place;
  MarkStore store;
  bool reached = true;  ///< for certain
};

class Walker {
 public:
  /// `oursFirst`: at equal priorities, our chain comes first.
  Walker(const Firewall& firewall, RouteOracle oracle, bool oursFirst);

  /// `known`: the bits of its mark that are known.
  void begin(const Sample& sample, std::uint32_t known = 0xffffffff);
  /// Passes the packet through the chains of one hook whose priority is at least `first` and below `end`. False: it was
  /// dropped.
  bool pass(HookPoint point, std::span<const OwnStamp> ours, std::int32_t first = kFirst, std::int32_t end = kLast);
  /// Reports whether the packet was routed by, or has, a mark other than the expected one; then corrects the mark.
  void inspectMark();
  const std::vector<Happening>& happened() const { return happened_; }
  /// The marks that were written since the last time.
  std::vector<Written> takeWritten() { return std::exchange(written_, {}); }
  /// What one of our own chains does, for certain.
  void stampMark(MarkMatch mark) { put(mark); }
  void stampConnection(MarkMatch mark);

  static constexpr std::int32_t kFirst = std::numeric_limits<std::int32_t>::min();
  static constexpr std::int32_t kLast = std::numeric_limits<std::int32_t>::max();

 private:
  struct End {
    std::optional<bool> accepted;  ///< nullopt: continues in the calling chain
    bool mayAccept = false;        ///< by a rule that only may match
  };
  /// What is known while walking through one chain.
  struct Progress {
    const Chain& chain;
    unsigned depth = 0;
    bool certain = true;  ///< that the packet reaches the next rule
    bool mayAccept = false;
  };

  void passBase(const Chain& base);
  bool isGone() const;
  void apply(const OwnStamp& own);
  void put(MarkMatch right);
  bool isWrong() const;
  End walk(const Chain& chain, bool certain, unsigned depth);
  std::optional<End> act(const Verdict& verdict, bool sure, const Rule& rule, Progress& progress);
  std::optional<End> follow(const Verdict& verdict, bool sure, Progress& progress);
  void loseTrack(Progress& progress);

  Machine machine_;
  bool oursFirst_;
  std::map<std::tuple<TableFamily, std::string_view, std::string_view>, const Chain*> byName_;
  std::array<std::vector<const Chain*>, 5> byHook_;
  const Chain* base_ = nullptr;
  Place lastSetter_;
  std::optional<Place> misrouted_;  ///< the rule that made the kernel route it again, by a wrong mark
  std::size_t rulesLeft_ = 0;
  std::vector<Happening> happened_;
  std::vector<Written> written_;
};

}  // namespace wgsteer::firewall
