// SPDX-License-Identifier: GPL-2.0-or-later
#include "support/fake_kernel.hpp"

#include <algorithm>
#include <cassert>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/desire.hpp"

namespace wgsteer::test {

Result<Picture> FakeKernel::observe(const Numbers& numbers, const ObserveOptions&) {
  if (unreadable) return fail(ErrorKind::io, "ip link show: Cannot allocate memory", ENOMEM);
  Picture seen = real;
  std::erase_if(seen.world.routes, [&](const Route& route) { return !real.world.interest.wants(route); });
  takeTunnels(seen, numbers, real.world.tunnels);
  seen.world.adopted = {};
  if (seen.observed.nft) adopt(seen.world, *seen.observed.nft);
  seen.observed.sysctls = sysctlsThatAreOn(seen);
  seen.observed.deprecated = deprecatedByUs(seen.world);
  return seen;
}

Status FakeKernel::refresh(Picture& picture, const Numbers& numbers, const Stale& stale) {
  const auto observed = observe(numbers);
  if (!observed) return std::unexpected(observed.error());
  const Picture& seen = *observed;
  const bool network = stale.rtnetlink || stale.network;
  if (network || stale.links) {
    picture.world.links = seen.world.links;
    picture.world.addresses = seen.world.addresses;
  }
  if (network) {
    picture.world.routes = seen.world.routes;
    picture.world.interest = seen.world.interest;
    picture.world.nexthops = seen.world.nexthops;
    picture.world.rules = seen.world.rules;
    picture.observed.rules = seen.observed.rules;
  }
  if (network || stale.ownRoutes) picture.observed.routes = seen.observed.routes;
  if (stale.rtnetlink || stale.tunnels) {
    takeTunnels(picture, numbers, real.world.tunnels);
    picture.world.tunnelTroubles = seen.world.tunnelTroubles;
  }
  if (stale.rtnetlink || stale.links || stale.nft) {
    picture.observed.nft = seen.observed.nft;
    picture.observed.sysctls = seen.observed.sysctls;
    if (picture.observed.nft) adopt(picture.world, *picture.observed.nft);
    picture.observed.deprecated = deprecatedByUs(picture.world);
  }
  return {};
}

/// What the real kernel would refuse: additions of existing objects, replacements of missing ones, members without a
/// table.
Status FakeKernel::conflict(const Change& change, const Numbers& numbers) const {
  if (const auto* added = std::get_if<AddRoute>(&change)) {
    const auto sameKey = [&](const Route& route) { return route.key() == added->route.key(); };
    const bool there =
        std::ranges::any_of(real.observed.routes, sameKey) || std::ranges::any_of(real.world.routes, sameKey);
    if (there && !added->replace) return fail(ErrorKind::alreadyThere, "File exists");
    for (const NextHop& hop : added->route.hops) {
      const Link* link = real.world.link(hop.device);
      if (link == nullptr) return fail(ErrorKind::notThere, "No such device");
      if (!link->up) return fail(ErrorKind::io, "Network is down");
    }
  }
  if (const auto* added = std::get_if<AddRule>(&change)) {
    // rule_exists in net/core/fib_rules.c compares neither the inversion nor the target of a goto.
    const auto compared = [](Rule rule) {
      rule.invert = false;
      rule.gotoPriority = 0;
      return rule;
    };
    const auto isSame = [&](const Rule& rule) { return compared(rule) == compared(added->rule); };
    if (std::ranges::any_of(real.observed.rules, isSame) || std::ranges::any_of(real.world.rules, isSame))
      return fail(ErrorKind::alreadyThere, "File exists");
  }
  if (const auto* set = std::get_if<SetTunnelMark>(&change);
      set != nullptr && !real.world.tunnels.contains(set->tunnel))
    return fail(ErrorKind::notThere, "No such device");
  if (const auto* set = std::get_if<SetTunnelMark>(&change); set != nullptr && !set->was && numbers.isOurs(set->mark)) {
    const Mark now = real.world.tunnels.at(set->tunnel).fwmark;
    if (now.value != 0 && !numbers.isOurs(now)) return fail(ErrorKind::alreadyThere, "its owner has set it");
  }
  if (const auto* set = std::get_if<SetDeprecated>(&change); set != nullptr && set->on)
    if (std::ranges::find(real.world.addresses, set->own, ownAddress) == real.world.addresses.end())
      return fail(ErrorKind::notThere, "Cannot assign requested address");
  if (const auto* transaction = std::get_if<NftTransaction>(&change))
    if (!real.observed.nft && !transaction->createTable) return fail(ErrorKind::notThere, "No such table");
  return {};
}

Status FakeKernel::make(const Change& change, const Numbers& numbers) {
  if (auto refused = conflict(change, numbers); !refused) return refused;
  ++writes;
  apply(real.observed, change);
  if (const auto* set = std::get_if<SetTunnelMark>(&change))
    real.world.tunnels.edit().at(set->tunnel).fwmark = set->mark;
  if (const auto* set = std::get_if<SetSysctl>(&change)) {
    auto& switches = linkNamed(set->sysctl.device).sysctls;
    if (set->on)
      switches.insert(set->sysctl.kind);
    else
      switches.erase(set->sysctl.kind);
  }
  if (const auto* set = std::get_if<SetDeprecated>(&change)) setDeprecated(*set);
  return {};
}

/// As the real kernel, it announces also what we have done ourselves. The lifetimes of an address that is deprecated do
/// not say any more until when it was preferred.
void FakeKernel::setDeprecated(const SetDeprecated& set) {
  const auto known = std::ranges::find(real.world.addresses, set.own, ownAddress);
  if (known == real.world.addresses.end() || known->deprecated == set.on) return;
  writeLifetimes(set.own, set.on ? std::nullopt : std::optional{set.preferred});
}

void FakeKernel::writeLifetimes(const OwnAddress& own, std::optional<Preferred> preferred) {
  const auto known = std::ranges::find(real.world.addresses, own, ownAddress);
  if (known == real.world.addresses.end()) return;
  InterfaceAddress changed = *known;
  changed.deprecated = !preferred;
  changed.lifetimes = {.preferred = preferred.value_or(Preferred{0}), .written = ++writtenAt_};
  real.world.addresses.erase(known);
  real.world.addresses.insert(changed);
  announce(AddressAdded{changed});
}

CommitReport FakeKernel::commit(const Plan& plan, const Numbers& numbers) {
  if (dead_) return {.complete = false};
  const bool dies = fault_ && !fault_->kind && fault_->after < plan.changes.size();
  Plan part = plan;
  if (dies) part.changes.resize(fault_->after);
  CommitReport report = carryOut(part, numbers, [&](const Change& change) { return attempt(change, numbers); });
  dead_ = dies;
  return report;
}

std::vector<Change> FakeKernel::commitPrepared(std::size_t index) {
  std::vector<Change> made;
  for (const Change& change : prepared[index])
    if (!dead_ && attempt(change, {})) made.push_back(change);
  return made;
}

Status FakeKernel::attempt(const Change& change, const Numbers& numbers) {
  if (refuses && refuses(change)) return fail(ErrorKind::refused, "injected");
  if (fault_ && fault_->kind && fault_->after == 0) {
    const ErrorKind kind = *fault_->kind;
    fault_.reset();
    return fail(kind, "injected");
  }
  if (fault_) --fault_->after;
  return make(change, numbers);
}

Status FakeKernel::clearSources(const Tunnel& tunnel, Mark fwmark, const Numbers&) {
  cleared.emplace_back(tunnel.name, fwmark);
  return {};
}

Status FakeKernel::setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint) {
  for (Peer& known : real.world.tunnels.edit().at(tunnel.name).peers)
    if (known.publicKey == peer) known.endpoint = endpoint;
  return {};
}

Status FakeKernel::forgetTranslations(const std::map<Endpoint, std::set<Address>>& rightSources) {
  forgotten.push_back(rightSources);
  return {};
}

Status FakeKernel::mayForget(MarkMatch mark) {
  if (mark.value == 0 || mark.mask == 0) return fail(ErrorKind::refused, "conntrack -D: connections without a mark");
  forgottenMarks.push_back(mark);
  if (keepsConnections) return fail(*keepsConnections, "injected");
  return {};
}

Status FakeKernel::forgetConnections(MarkMatch mark, std::optional<Family> family) {
  if (const Status may = mayForget(mark); !may) return may;
  std::erase_if(connections, [&](const Connection& connection) {
    return mark.matches(connection.mark) && (!family || connection.family == *family);
  });
  return {};
}

Result<std::size_t> FakeKernel::forgetUnanswered(MarkMatch mark, Family family) {
  if (const Status may = mayForget(mark); !may) return std::unexpected(may.error());
  return std::erase_if(connections, [&](const Connection& connection) {
    return mark.matches(connection.mark) && connection.family == family && !connection.answered;
  });
}

Result<std::size_t> FakeKernel::forgetTranslatedTo(std::uint32_t mask,
                                                   const std::map<Mark, std::set<Address>>& wrongSources) {
  if (keepsConnections) return fail(*keepsConnections, "injected");
  return std::erase_if(connections, [&](const Connection& connection) {
    const auto known = wrongSources.find(Mark{connection.mark.value & mask});
    return known != wrongSources.end() && connection.translatedTo && known->second.contains(*connection.translatedTo);
  });
}

Result<std::size_t> FakeKernel::unmarkConnections(MarkMatch mark, std::uint32_t bits) {
  if (mark.value == 0 || mark.mask == 0) return fail(ErrorKind::refused, "conntrack -U: connections without a mark");
  if (keepsConnections) return fail(*keepsConnections, "injected");
  std::size_t count = 0;
  for (Connection& connection : connections) {
    if (!mark.matches(connection.mark)) continue;
    connection.mark.value &= ~bits;
    ++count;
  }
  return count;
}

Result<Drained> FakeKernel::forgetIdle(MarkMatch mark, Family family, IdleWatch& watch, Instant now) {
  if (const Status may = mayForget(mark); !may) return std::unexpected(may.error());
  const auto concerned = [&](const Connection& connection) {
    return mark.matches(connection.mark) && connection.family == family;
  };
  std::vector<IdleWatch::Seen> seen;
  for (const Connection& connection : connections)
    if (concerned(connection)) seen.push_back({.id = connection.id, .expiresIn = connection.expiresIn});
  const auto idle = watch.look(now, seen);
  const std::size_t gone = std::erase_if(
      connections, [&](const Connection& connection) { return concerned(connection) && idle.contains(connection.id); });
  return Drained{.forgotten = gone, .left = seen.size() - gone};
}

Result<std::map<std::uint32_t, std::size_t>> FakeKernel::connectionsByMark(std::uint32_t mask) {
  std::map<std::uint32_t, std::size_t> counts;
  for (const Connection& connection : connections)
    if (const std::uint32_t value = connection.mark.value & mask; value != 0) ++counts[value];
  return counts;
}

Status FakeKernel::warm(const Neighbour& neighbour) {
  warmed.push_back(neighbour);
  return {};
}

Status FakeKernel::askLinks(const std::vector<IfIndex>& devices, const Sink& sink) {
  for (const IfIndex device : devices)
    if (const Link* link = real.world.link(device)) sink(LinkChanged{*link});
  return {};
}

Status FakeKernel::listen(const RouteInterest& interest) {
  real.world.interest = interest;
  return {};
}

Status FakeKernel::subscribe() {
  subscribed_ = true;
  return {};
}

void FakeKernel::drain(const Sink& sink) {
  const auto queued = std::exchange(queue_, {});
  for (const Event& event : queued) sink(event);
}

void FakeKernel::announce(const Event& event) {
  const auto* added = std::get_if<RouteAdded>(&event);
  const auto* gone = std::get_if<RouteGone>(&event);
  const Route* route = added != nullptr ? &added->route : gone != nullptr ? &gone->route : nullptr;
  if (route != nullptr && !real.world.interest.wants(*route)) return;
  if (subscribed_) queue_.push_back(event);
}

Link& FakeKernel::linkNamed(const IfName& name) {
  for (auto& [index, link] : real.world.links)
    if (link.name == name) return link;
  assert(false && "no such link");
  std::abort();
}

void FakeKernel::linkGoesDown(const IfName& name) {
  Link& link = linkNamed(name);
  link.up = link.carrier = false;
  announce(LinkChanged{link});
  const auto by = [&](const Route& route) { return !route.hops.empty() && route.hops.front().device == link.index; };
  for (auto* routes : {&real.world.routes, &real.observed.routes}) {
    // IPv6 routes are announced one by one, IPv4 routes vanish silently.
    for (const Route& route : *routes)
      if (by(route) && route.family() == Family::v6) announce(RouteGone{route});
    std::erase_if(*routes, by);
  }
}

void FakeKernel::linkComesUp(const IfName& name) {
  Link& link = linkNamed(name);
  link.up = link.carrier = true;
  announce(LinkChanged{link});
}

void FakeKernel::carrier(const IfName& name, bool on) {
  carrierUnannounced(name, on);
  announce(LinkChanged{linkNamed(name)});
}

void FakeKernel::carrierUnannounced(const IfName& name, bool on) { linkNamed(name).carrier = on; }

void FakeKernel::addForeignRoute(const Route& route) {
  real.world.routes.insert(route);
  announce(RouteAdded{route});
}

void FakeKernel::deleteForeignRoute(const Route& route) {
  real.world.routes.erase(route);
  announce(RouteGone{route});
}

void FakeKernel::someoneDeletesRule(const Rule& rule) {
  real.observed.rules.erase(rule);
  announce(RuleGone{rule, kSomeone});
}

void FakeKernel::someoneFlushesNft() {
  real.observed.nft.reset();
  announce(NftChanged{"nft (pid 4711)"});
}

void FakeKernel::someoneSetsFwmark(const IfName& tunnel, Mark fwmark) {
  real.world.tunnels.edit().at(tunnel).fwmark = fwmark;
}

void FakeKernel::loseEvents() {
  queue_.clear();
  announce(Overrun{});
}

}  // namespace wgsteer::test
