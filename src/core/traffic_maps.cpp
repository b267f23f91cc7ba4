// SPDX-License-Identifier: GPL-2.0-or-later
// Many rules of one shape become one lookup. The kernel refuses overlapping intervals in a map, so what the first match
// means is worked out here: disjoint intervals, each with the chain of the first rule that has it.
#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "core/nft_sets.hpp"
#include "core/traffic.hpp"

namespace wgsteer {

namespace {

using Bytes = std::vector<std::uint8_t>;

/// value + 1 and value - 1; empty: there is none.
Bytes after(Bytes value) {
  for (std::size_t i = value.size(); i-- > 0;)
    if (++value[i] != 0) return value;
  return {};
}
Bytes before(Bytes value) {
  for (std::size_t i = value.size(); i-- > 0;)
    if (value[i]-- != 0) return value;
  return {};
}

/// Disjoint intervals by their first value; what was added first stays.
class FirstMatch {
 public:
  void add(TrafficRange range) {
    while (true) {
      const auto next = ranges_.lower_bound(range.first);
      if (next != ranges_.begin() && std::prev(next)->second.last >= range.first) {
        range.first = after(std::prev(next)->second.last);
        if (range.first.empty() || range.first > range.last) return;
        continue;
      }
      if (next == ranges_.end() || next->first > range.last) break;
      if (next->first > range.first) {
        TrafficRange part = range;
        part.last = before(next->first);
        ranges_.emplace_hint(next, part.first, part);
      }
      range.first = after(next->second.last);
      if (range.first.empty() || range.first > range.last) return;
    }
    const Bytes first = range.first;
    ranges_.emplace(first, std::move(range));
  }

  std::vector<TrafficRange> take() && {
    std::vector<TrafficRange> result;
    for (auto& [first, range] : ranges_) result.push_back(std::move(range));
    return result;
  }

 private:
  std::map<Bytes, TrafficRange> ranges_;
};

class Joiner {
 public:
  explicit Joiner(TrafficProgram& program) : program_(program) {}

  void run() {
    std::vector<TrafficMatch> joined;
    auto& matches = program_.matches;
    for (std::size_t i = 0; i < matches.size();) {
      const auto [end, field] = runFrom(i);
      if (end - i < kWorthIt) {
        joined.push_back(std::move(matches[i++]));
        continue;
      }
      joined.push_back(mapOf({matches.begin() + static_cast<std::ptrdiff_t>(i), end - i}, field));
      i = end;
    }
    matches = std::move(joined);
    dropUnused();
  }

 private:
  /// A lookup in a map of intervals costs about as much as two in sets.
  static constexpr std::size_t kWorthIt = 3;

  const TrafficSet& set(const std::string& name) const {
    return *std::ranges::find(program_.sets, name, &TrafficSet::name);
  }

  bool isSame(const TrafficCondition& left, const TrafficCondition& right) const {
    return left.field == right.field && left.inverted == right.inverted &&
           (left.set == right.set || sets_.at(left.set)->ranges == sets_.at(right.set)->ranges);
  }

  /// The place of the only condition in which the two differ; nullopt if they differ in anything else.
  std::optional<std::size_t> difference(const TrafficMatch& left, const TrafficMatch& right) const {
    if (left.family != right.family || left.fromHere != right.fromHere || left.dscp != right.dscp ||
        left.notDscp != right.notDscp || left.conditions.size() != right.conditions.size())
      return std::nullopt;
    std::optional<std::size_t> place;
    for (std::size_t i = 0; i < left.conditions.size(); ++i) {
      if (isSame(left.conditions[i], right.conditions[i])) continue;
      const bool comparable = left.conditions[i].field == right.conditions[i].field && !left.conditions[i].inverted &&
                              !right.conditions[i].inverted;
      if (place || !comparable) return std::nullopt;
      place = i;
    }
    return place;
  }

  /// The end of the statements from `begin` on that differ in one condition alone, and its place.
  std::pair<std::size_t, std::size_t> runFrom(std::size_t begin) {
    if (sets_.empty())
      for (const TrafficSet& each : program_.sets) sets_.emplace(each.name, &each);
    const auto& matches = program_.matches;
    std::size_t end = begin + 1;
    std::optional<std::size_t> place;
    for (; end < matches.size(); ++end) {
      const auto next = difference(matches[begin], matches[end]);
      if (!next || (place && *place != *next)) break;
      place = next;
    }
    return {end, place.value_or(0)};
  }

  TrafficMatch mapOf(std::span<const TrafficMatch> run, std::size_t place) {
    FirstMatch ranges;
    for (const TrafficMatch& match : run)
      for (TrafficRange range : sets_.at(match.conditions[place].set)->ranges) {
        range.chain = match.chain;
        ranges.add(std::move(range));
      }
    TrafficMatch joined = run.front();
    joined.mapField = joined.conditions[place].field;
    joined.conditions.erase(joined.conditions.begin() + static_cast<std::ptrdiff_t>(place));
    joined.chain.clear();
    joined.map = std::string{kMapPrefix} + std::to_string(++maps_);
    made_.push_back({.name = joined.map,
                     .field = joined.mapField,
                     .map = true,
                     .ranges = std::move(ranges).take(),
                     .remembers = {}});
    return joined;
  }

  void dropUnused() {
    if (made_.empty()) return;
    std::set<std::string> used;
    for (const TrafficMatch& match : program_.matches)
      for (const TrafficCondition& condition : match.conditions) used.insert(condition.set);
    std::erase_if(program_.sets,
                  [&](const TrafficSet& each) { return !each.map && !each.remembers && !used.contains(each.name); });
    std::ranges::move(made_, std::back_inserter(program_.sets));
  }

  TrafficProgram& program_;
  std::map<std::string, const TrafficSet*> sets_;
  std::vector<TrafficSet> made_;
  unsigned maps_ = 0;
};

}  // namespace

void joinMatches(TrafficProgram& program) { Joiner{program}.run(); }

}  // namespace wgsteer
