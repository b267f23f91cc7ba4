// SPDX-License-Identifier: GPL-2.0-or-later
// The part of the plan that rules for any traffic add: marks, chains, ip rules, and which connections stay where they
// are.
#pragma once

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/state.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

#include "core/tables.hpp"

namespace wgsteer {

/// Resolves the rules against WANs and policies and gives each exit, policy and pair of them a mark. A rule for which
/// there is no mark left is a problem, and its traffic is left alone.
void steerTraffic(const Config& config, const World& world, Steering& steering);

/// For policies that do not leave IPv6 sources as they are; prefixes that cannot be translated are problems.
void treatForeignSources(const Config& config, Steering& steering);
/// The sources of each exit, if there is such a policy.
void addExitPrefixes(const World& world, const Steering& steering, NftTable& table);

/// What the functions below add to a state that has everything else. `localBehind`: table local is looked up after our
/// rules in this family.
struct TrafficState {
  const Config& config;
  const World& world;
  const Steering& steering;
};
/// WANs, and whatever else a default route or half of one leads to: a socket that is bound to one of these is to leave
/// by it. Rules with `oif` match only such. Not for each route with a gateway: routing protocols would have these rules
/// written again and again.
std::set<IfName> uplinks(const World& world, const Steering& steering, Family family);
/// Makes the rule one of ours. Several at one priority that differ in their prefixes alone are told apart: a request to
/// delete one without a prefix matches those with one as well (fib_nl_delrule(), 6.18).
void stampBySelectors(Rule& rule);
/// A rule of ours that no table identifies, or that looks up a table of others. Once it has prefixes,
/// stampBySelectors().
Rule stampedRule(Family family, std::uint32_t priority, RuleAction action = RuleAction::lookup);
/// The marks by which new connections of the policy are routed, its own first.
std::vector<Slot> routedMarks(const TrafficPolicy& used);
void addTrafficRules(const TrafficState& of, Family family, bool localBehind, std::set<Rule>& rules);
/// Whether ip rules can say all that the rules for any traffic say of this host's own connections. They choose before
/// the source address is chosen, so that no translation is needed; chains choose after.
bool canRouteLocal(const Config& config, const World& world, const Steering& steering, Family family);
/// The base of their priorities: rule_priority, or more where rules of other programs are among them, which would
/// otherwise be jumped over.
std::uint32_t localBase(const TrafficState& of, Family family);
/// The ip rules for that.
void addLocalRules(const TrafficState& of, Family family, std::set<Rule>& rules);
/// Tables for the marks that name a WAN of a policy.
void addMemberTables(const TrafficState& of, Family family, Tables& tables);
/// The policy's best WANs as configured, whether or not they can be used.
std::vector<const MemberView*> firstGroup(const PolicyView& policy);
void addTrafficMembers(const TrafficState& of, NftTable& table);

/// The chains that the rules require; Steering::traffic must be there.
TrafficProgram trafficProgram(const Config& config, const World& world, const Steering& steering);

/// Replaces runs of statements that differ in the values of one selector alone by one lookup in a map: a thousand hosts
/// cost as one. Values that an earlier statement of the run has are left out of the later ones.
void joinMatches(TrafficProgram& program);

}  // namespace wgsteer
