// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/import_policies.hpp"

#include <algorithm>
#include <iterator>

#include "wgsteer/core/config.hpp"

#include "config/text.hpp"
#include "config/values.hpp"

namespace wgsteer::foreign {

namespace {

/// A member that mwan3 does not ignore.
struct Candidate {
  const Mwan3Member* member = nullptr;
  std::string wan;
  bool ipv6 = false;
};

/// A WAN among those of one metric.
struct Share {
  std::string wan;
  std::int64_t weight = 0;
  double share = 0;  ///< share of new connections while all of them are up
};

/// The shares of members of one metric, in the order of the policy. mwan3 sends everything to the first member, and
/// inserts before that rule one for each further member, with its share of the weights so far, in thousandths.
std::vector<Share> sharesOf(const std::vector<const Candidate*>& members) {
  std::vector<Share> shares;
  std::int64_t total = 0;
  for (const Candidate* each : members) {
    const std::int64_t weight = std::clamp<std::int64_t>(each->member->weight, 0, 1'000'000'000);
    total += weight;
    double part = 1;
    if (each != members.front()) part = total == 0 ? 0 : static_cast<double>(weight * 1000 / total) / 1000;
    for (Share& other : shares) other.share *= 1 - part;
    auto known = std::ranges::find(shares, each->wan, &Share::wan);
    if (known == shares.end()) known = shares.insert(shares.end(), {.wan = each->wan, .weight = 0, .share = 0});
    known->weight += weight;
    known->share += part;
  }
  return shares;
}

struct Entry {
  std::string wan;
  std::uint32_t metric = 0;
  std::uint32_t weight = 1;
  bool standby = false;  ///< in mwan3 used only after others of its metric
};

class MemberImporter {
 public:
  MemberImporter(const Mwan3Policy& policy, const Mwan3& mwan3, const std::map<std::string, std::string>& wans,
                 config::Problems& notes)
      : policy_(policy), mwan3_(mwan3), wans_(wans), notes_(notes) {}

  std::vector<std::string> run();

 private:
  void collect();
  const char* reasonAgainst(const Mwan3Member& member) const;
  void note(unsigned line, const std::string& what) {
    notes_.add(line, "use_member", "policy " + config::inQuotes(policy_.name) + ": " + what);
  }
  /// In the order of metrics, which are kept unless a WAN has to come after others of its metric.
  static std::vector<Entry> entriesOf(const std::vector<Candidate>& candidates);
  void sayStandbys(const std::vector<Entry>& entries);
  void sayOtherOrder(const std::vector<Entry>& entries);

  const Mwan3Policy& policy_;
  const Mwan3& mwan3_;
  const std::map<std::string, std::string>& wans_;
  config::Problems& notes_;
  std::vector<Candidate> candidates_;
};

const char* MemberImporter::reasonAgainst(const Mwan3Member& member) const {
  constexpr std::int64_t kMaxMwan3Metric = 256;
  if (!member.metric) return "has an invalid metric: mwan3 ignores it";
  if (*member.metric > kMaxMwan3Metric) return "has a metric over 256: mwan3 ignores it";
  return nullptr;
}

void MemberImporter::collect() {
  for (const std::string& name : policy_.members) {
    const Mwan3Member* member = mwan3_.member(name);
    if (member == nullptr) {
      note(policy_.line, "member " + config::inQuotes(name) + " is not defined");
      continue;
    }
    const auto wan = wans_.find(member->interface);
    const Mwan3Interface* interface = mwan3_.interface(member->interface);
    if (wan == wans_.end())
      note(member->line, "member " + config::inQuotes(name) + " has interface " + config::inQuotes(member->interface) +
                             ", which is not " +
                             (interface != nullptr && interface->enabled ? "a WAN here" : "an enabled WAN"));
    else if (const char* reason = reasonAgainst(*member))
      note(member->line, "member " + config::inQuotes(name) + " " + reason);
    else
      candidates_.push_back({member, wan->second, interface != nullptr && interface->ipv6});
  }
}

std::vector<Entry> MemberImporter::entriesOf(const std::vector<Candidate>& candidates) {
  // An interface is up or down at all of its metrics alike: the lowest decides.
  std::map<std::string, std::int64_t> lowest;
  for (const Candidate& each : candidates) {
    const auto [known, fresh] = lowest.emplace(each.wan, *each.member->metric);
    known->second = std::min(known->second, *each.member->metric);
  }
  std::map<std::int64_t, std::vector<const Candidate*>> levels;
  for (const Candidate& each : candidates)
    if (*each.member->metric == lowest.at(each.wan)) levels[*each.member->metric].push_back(&each);

  std::vector<Entry> entries;
  std::uint32_t metric = 0;
  for (const auto& [wanted, members] : levels) {
    const auto shares = sharesOf(members);
    const std::int64_t heaviest = std::ranges::max(shares, {}, &Share::weight).weight;
    metric = std::max({metric + 1, kMinMetric, static_cast<std::uint32_t>(std::max<std::int64_t>(wanted, 0))});
    for (const Share& each : shares) {
      if (each.share <= 0) continue;
      const std::int64_t weight =
          heaviest > config::kMaxWeight ? each.weight * config::kMaxWeight / heaviest : each.weight;
      entries.push_back({each.wan, metric, static_cast<std::uint32_t>(std::max<std::int64_t>(weight, 1))});
    }
    for (const Share& each : shares)
      if (each.share <= 0) entries.push_back({each.wan, ++metric, 1, true});
  }
  return entries;
}

void MemberImporter::sayStandbys(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries)
    if (entry.standby)
      note(policy_.line, config::inQuotes(entry.wan) +
                             " has no weight, unlike others of its metric: mwan3 uses it only while they are down");
}

/// Reports families with different orders: here, one order applies to both.
void MemberImporter::sayOtherOrder(const std::vector<Entry>& entries) {
  std::vector<Candidate> ipv6;
  std::ranges::copy_if(candidates_, std::back_inserter(ipv6), &Candidate::ipv6);
  const auto metricIn = [](const std::vector<Entry>& list, const std::string& wan) {
    const auto found = std::ranges::find(list, wan, &Entry::wan);
    return found == list.end() ? 0U : found->metric;
  };
  const auto others = entriesOf(ipv6);
  for (const Entry& left : others)
    for (const Entry& right : others) {
      const auto here = metricIn(entries, left.wan) <=> metricIn(entries, right.wan);
      if (here == (left.metric <=> right.metric)) continue;
      return note(policy_.line, "IPv6 orders " + config::inQuotes(left.wan) + " and " + config::inQuotes(right.wan) +
                                    " differently from IPv4; the order of IPv4 is used for both");
    }
}

std::vector<std::string> MemberImporter::run() {
  collect();
  std::vector<Candidate> deciding;
  for (const Candidate& each : candidates_) {
    const bool hasIPv4 =
        std::ranges::any_of(candidates_, [&](const Candidate& other) { return other.wan == each.wan && !other.ipv6; });
    if (!each.ipv6 || !hasIPv4) deciding.push_back(each);
  }
  const auto entries = entriesOf(deciding);
  sayStandbys(entries);
  sayOtherOrder(entries);
  if (entries.size() == 1) return {entries.front().wan};
  std::vector<std::string> texts;
  for (const Entry& entry : entries)
    texts.push_back(entry.wan + ":" + std::to_string(entry.metric) + ":" + std::to_string(entry.weight));
  return texts;
}

}  // namespace

std::vector<std::string> importMembers(const Mwan3Policy& policy, const Mwan3& mwan3,
                                       const std::map<std::string, std::string>& wans, config::Problems& notes) {
  return MemberImporter{policy, mwan3, wans, notes}.run();
}

}  // namespace wgsteer::foreign
