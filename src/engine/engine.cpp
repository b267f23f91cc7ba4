// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/engine.hpp"

#include <algorithm>
#include <utility>

#include "wgsteer/core/departed.hpp"
#include "wgsteer/core/overload.hpp"

#include "engine/flush.hpp"

namespace wgsteer {

namespace {

constexpr std::size_t kHeardAtMost = 16;
constexpr Duration kDeprecationPause = std::chrono::seconds{1};

std::size_t failuresOf(const CommitReport& report) {
  std::size_t lines = 0;
  for (const ChangeResult& result : report.failed) lines += lineCount(result.change);
  return lines;
}

bool opensAWay(const Change& change) {
  const auto* added = std::get_if<AddRoute>(&change);
  return added != nullptr && added->route.destination.isDefault() && added->route.type == RouteType::unicast;
}

}  // namespace

Engine::Engine(Kernel& kernel, Config config, Observer observer, Now now)
    : kernel_(kernel), config_(std::move(config)), observer_(std::move(observer)), now_(std::move(now)) {}

void Engine::report(const Error& error) const {
  if (observer_.trouble) observer_.trouble(error);
}

void Engine::wake(Trigger trigger) {
  wokenAt_ = now_();
  trigger_ = trigger;
  heard_.clear();
}

void Engine::imagine() {
  contingencies_ = contingencies(config_, picture_, planner_,
                                 [this](Plan plan) { return refusals_.withhold(std::move(plan), now_()); });
  std::vector<std::vector<Change>> writes;
  for (const Contingency& contingency : contingencies_) writes.push_back(contingency.writes);
  kernel_.prepare(writes);
  imagined_ = true;
}

/// An imagined event has happened: its prepared writes are sent before anything else is done. Those that fail are left
/// to the plan.
bool Engine::actAhead(std::optional<std::size_t> contingency) {
  if (!contingency) return false;
  ahead_ = kernel_.commitPrepared(*contingency);
  imagined_ = false;
  ++statistics_.foreseen;
  return true;
}

Status Engine::start(WansDown wansDown) {
  wake(Trigger::start);
  if (auto subscribed = kernel_.subscribe(); !subscribed) return subscribed;
  auto seen = kernel_.observe(config_.numbers);
  if (!seen) return std::unexpected(seen.error());
  picture_ = std::move(*seen);
  lookedAt_ = wokenAt_;
  picture_.world.wansDown = std::move(wansDown);
  tellTunnelTroubles({});
  if (auto clear = refuseConflicts(config_); !clear) return clear;
  const auto marked = picture_.observed.tunnelMarks;
  converge();
  // Packets may have used another WAN while we were not running, leaving a stale cached source; a new fwmark clears it.
  // For sticky sockets even if there was nothing to write: the last daemon may have been killed before it cleared them.
  for (const TunnelView& view : steering().tunnels) {
    sources_.clearLater(*view.tunnel);
    if (statistics_.plans == 0) continue;
    const auto before = marked.find(view.tunnel->name);
    const auto now = picture_.observed.tunnelMarks.find(view.tunnel->name);
    const bool had = before != marked.end();
    const bool has = now != picture_.observed.tunnelMarks.end();
    if (had == has && (!has || before->second == now->second)) clearSources(*view.tunnel);
  }
  return {};
}

Status Engine::refuseConflicts(const Config& config) const {
  if (config.force) return {};
  const Steering steering = steer(config, picture_.world);
  const auto found = conflicts(config, picture_, steering);
  if (found.empty()) return {};
  return fail(ErrorKind::refused, found.front().what + "; fix: " + found.front().fix);
}

bool Engine::isWan(const Event& event) const {
  const auto* changed = std::get_if<LinkChanged>(&event);
  return changed != nullptr && picture_.world.adopted.wanSlots.contains(changed->link.name);
}

void Engine::onEvents() {
  digest([this](const Kernel::Sink& sink) { kernel_.drain(sink); });
}

void Engine::onCarrierCheck() {
  std::vector<IfIndex> wans;
  for (const auto& [device, slot] : picture_.world.adopted.wanSlots)
    if (const Link* link = picture_.world.linkNamed(device)) wans.push_back(link->index);
  digest([&](const Kernel::Sink& sink) {
    if (auto asked = kernel_.askLinks(wans, sink); !asked) report(asked.error());
  });
}

std::optional<Duration> Engine::carrierCheckAfter() const { return carrierWatch_.nextCheck(now_()); }

void Engine::digest(const Source& source) {
  wake(Trigger::overrun);
  Tracked all;
  std::optional<Event> lastDamage;
  bool onlyDamage = true;
  bool lost = false;
  bool lostOfNft = false;
  source([&](const Event& event) {
    lost |= std::holds_alternative<Overrun>(event);
    if (const auto* nft = std::get_if<NftChanged>(&event)) lostOfNft |= nft->lost;
    // Contingencies belong to the picture as it was, so they apply only to the first relevant event.
    const bool acted = actAhead(find(foreseen(), event));
    const Tracked tracked = track(picture_, event);
    if (acted) settle(picture_, ahead_);
    if (!tracked.relevant && !tracked.stale.any()) return;
    imagined_ = false;
    if (heard_.empty()) trigger_ = triggerOf(event);
    if (heard_.size() < kHeardAtMost) heard_.push_back(event);
    all.relevant = true;
    all.carrier |= tracked.carrier;
    strayed_ |= tracked.carrier && isWan(event);
    all.stale |= tracked.stale;
    onlyDamage = onlyDamage && tracked.damage;
    if (onlyDamage) lastDamage = event;
  });
  if (lost || lostOfNft) ++statistics_.overruns;
  if (all.relevant) react(all, onlyDamage ? lastDamage : std::nullopt);
  if (!observer_.overrun) return;
  if (lost) observer_.overrun(false);
  if (lostOfNft) observer_.overrun(true);
}

void Engine::react(const Tracked& all, const std::optional<Event>& damage) {
  heardAt_ = wokenAt_;
  ++statistics_.wakeUps;
  strayed_ |= all.stale.rtnetlink;
  if (all.carrier) carrierWatch_.begin(wokenAt_);
  if (damage && !mayRepair(*damage)) return;
  // What has to be read again must not delay what is known already: the engine reacts to a lost link first.
  const bool slowPath = all.stale.rtnetlink || all.stale.nft || all.stale.tunnels || all.stale.links;
  if (!slowPath) converge();
  if (all.stale.any() && reread(all.stale)) converge();
}

/// Damage is repaired at once, but if it goes on, only as often as the bucket allows. A change of the world does not
/// wait for that, and repairs everything as well.
bool Engine::mayRepair(const Event& last) {
  if (repairs_.allows(wokenAt_)) return true;
  if (repairs_.beginsFight()) {
    ++statistics_.fights;
    if (observer_.fight) observer_.fight(last, deviceNames(picture_.world));
  }
  // Everything is read again then, including what is stale by now.
  looks_.setDue(wokenAt_ + repairs_.wait(wokenAt_));
  return false;
}

void Engine::poll(WallSeconds wallClock) {
  const Instant began = now_();
  pollTunnels();
  lookAround();
  // In this order: a peer that returned to an address that its name no longer has must not be judged by it.
  followNames(wallClock);
  divert(stalls_.look(config_, picture_.world, began, wallClock));
}

void Engine::pollTunnels() {
  wake(Trigger::tunnel);
  if (gateways_.isDue(wokenAt_)) keepGateways(steering());
  const auto before = picture_.world.tunnels;
  const auto markedBefore = picture_.observed.tunnelMarks;
  const auto troublesBefore = picture_.world.tunnelTroubles;
  const auto elsewhereBefore = picture_.world.tunnelsElsewhere;
  const auto ownersBefore = picture_.world.ownersMarks;
  const bool forgotten = forgetDeparted(picture_.world, wokenAt_);
  if (!reread({.tunnels = true})) return;
  // With its current mark: its owner may have set another one since.
  if (const auto done = sources_.clearLateOnes(picture_, config_.numbers); !done) failedToRead(done.error());
  const bool endpointsMoved = std::exchange(endpointsMoved_, false);
  if (before.same(picture_.world.tunnels) && markedBefore == picture_.observed.tunnelMarks &&
      troublesBefore == picture_.world.tunnelTroubles && ownersBefore == picture_.world.ownersMarks &&
      sameElsewhere(elsewhereBefore, picture_.world.tunnelsElsewhere) && !endpointsMoved && !forgotten)
    return;
  ++statistics_.wakeUps;
  converge();
}

void Engine::onRetry() {
  wake(Trigger::retry);
  looks_.begin();
  if (!resync()) return;
  converge();
  looks_.end();
}

std::optional<Duration> Engine::retryAfter() const {
  // Nothing is tried again before the kernel could be read: while that fails, a change whose turn has come would make
  // the engine try to read without a pause.
  auto due = looks_.due() ? looks_.due() : refusals_.nextDue();
  if (!looks_.due() && deprecateAgain_ && (!due || *deprecateAgain_ < *due)) due = deprecateAgain_;
  if (!due) return std::nullopt;
  // At least 1: a delay of 0 would disarm the timer.
  return std::max(*due - now_(), Duration{1});
}

void Engine::setNamed(std::map<PeerId, NamedPeer> changed, const std::set<PeerId>& gone, WallSeconds wallClock) {
  wake(Trigger::name);
  SharedMap<PeerId, NamedPeer>& named = picture_.world.named;
  std::erase_if(changed, [&](const auto& entry) {
    const auto known = named.find(entry.first);
    return known != named.end() && known->second == entry.second;
  });
  if (!changed.empty() || std::ranges::any_of(gone, [&](const PeerId& peer) { return named.contains(peer); })) {
    planner_.letGoOfNames();
    auto& names = named.edit();
    for (const PeerId& peer : gone) names.erase(peer);
    for (auto& [peer, addresses] : changed) names.insert_or_assign(peer, std::move(addresses));
    converge();
  }
  followNames(wallClock);
}

void Engine::followNames(WallSeconds wallClock) {
  if (picture_.world.named.empty() || looks_.due()) return;
  for (const EndpointMove& move : endpointMoves(config_, picture_.world, steering(), wallClock))
    if (isInTable(move)) moveEndpoint(move.tunnel, move.peer, move.to);
}

/// Whether nftables has all that the plan wants it to know about the new address: the next packet goes there. A change
/// that the kernel refuses holds up no other peer.
bool Engine::isInTable(const EndpointMove& move) const {
  if (!picture_.observed.nft) return true;  // there cannot be one: the tunnel's fwmark has to suffice
  const auto has = [](const auto& planned, const auto& observed, const auto& key) {
    const auto wanted = planned.find(key), found = observed.find(key);
    return wanted == planned.end() || (found != observed.end() && found->second == wanted->second);
  };
  const NftTable& table = picture_.observed.nft->table;
  const Flow flow{move.to, picture_.world.tunnels.at(move.tunnel).listenPort};
  return has(planner_.maps().endpoints, table.endpoints, move.to) && has(planner_.maps().flows, table.flows, flow);
}

void Engine::setWansDown(WansDown down) {
  wake(Trigger::health);
  if (down == picture_.world.wansDown) return;
  const bool acted = actAhead(find(foreseen(), down));
  picture_.world.wansDown = std::move(down);
  if (acted) settle(picture_, ahead_);
  ++statistics_.wakeUps;
  converge();
}

bool Engine::moveEndpoint(const IfName& tunnel, std::size_t peer, const Endpoint& to) {
  const Tunnel& known = picture_.world.tunnels.at(tunnel);
  const PeerId id{tunnel, known.peers[peer].publicKey};
  if (auto done = kernel_.setEndpoint(known, id.key, to); !done) {
    report(done.error());
    return false;
  }
  // Copy-on-write: a steering that borrows the tunnels keeps the unchanged ones.
  const auto before = std::exchange(picture_.world.tunnels.edit().at(tunnel).peers[peer].endpoint, to);
  // The next poll sees nothing new. Until then, packets still in flight may make WireGuard return to the old endpoint.
  endpointsMoved_ = true;
  const auto named = picture_.world.named.find(id);
  if (observer_.endpointMoved && named != picture_.world.named.end())
    observer_.endpointMoved(id, named->second, before, to);
  return true;
}

/// The kernel state is changed before the endpoint: the first packet to the new address may be the one that counts.
void Engine::divert(StallOutcome outcome) {
  const auto sameWan = [](const auto& left, const auto& right) {
    return left.first == right.first && left.second.wan == right.second.wan;
  };
  const bool moved = !std::ranges::equal(outcome.stalled, picture_.world.stalled, sameWan);
  picture_.world.stalled = std::move(outcome.stalled);
  if (moved) {
    wake(Trigger::health);
    ++statistics_.wakeUps;
    converge();
  }
  for (const StallNews& news : outcome.news) {
    if (observer_.stalled) observer_.stalled(news);
    const auto tunnel = picture_.world.tunnels.find(news.peer.tunnel);
    if (tunnel == picture_.world.tunnels.end()) continue;
    const auto& peers = tunnel->second.peers;
    const auto peer = std::ranges::lower_bound(peers, news.peer.key, {}, &Peer::publicKey);
    if (peer == peers.end() || peer->publicKey != news.peer.key || !peer->endpoint) continue;
    if (peer->endpoint->address != news.address)
      moveEndpoint(news.peer.tunnel, static_cast<std::size_t>(peer - peers.begin()),
                   {news.address, peer->endpoint->port});
  }
}

Status Engine::reconfigure(Config config) {
  wake(Trigger::reload);
  if (auto clear = refuseConflicts(config); !clear) return clear;
  const bool otherNumbers = config.numbers != config_.numbers;
  config_ = std::move(config);
  planner_ = {};
  // The numbers of policies may mean something else now.
  picture_.world.departed.clear();
  culler_.clear();
  translations_.clear();
  refusals_.clear();
  // Which fwmarks are ours depends on the mask.
  if (!otherNumbers || resync()) converge();
  return {};
}

Status Engine::flush() {
  wake(Trigger::reload);
  imagined_ = false;
  const Flushed flushed = wgsteer::flush(kernel_, picture_, config_.numbers);
  const CommitReport& report = flushed.report;
  tell(flushed.plan, {report, now_() - wokenAt_});
  tellDeprecated(report.ok() ? flushed.plan.changes : report.made, steering());
  return flushed.status(deviceNames(picture_.world));
}

/// A look at what was refused may show that it exists already, or that a WAN cannot be used.
void Engine::converge() {
  constexpr int kRounds = 3;
  for (int round = 0; round < kRounds; ++round)
    if (!convergeOnce()) return;
  looks_.failed(wokenAt_, trigger_ == Trigger::retry);
}

/// True if this has led to more work.
bool Engine::convergeOnce() {
  paceDeprecations();
  const Steering steering = planner_.steer(config_, picture_.world);
  // A full feed has begun: its routes must no longer be mirrored or announced.
  if (picture_.world.leftOut > picture_.world.interest.leftOut && attend(steering)) return true;
  State desired = planner_.desire(config_, picture_.world, steering);
  Plan plan = refusals_.withhold(diff(desired, picture_.observed), wokenAt_);
  strayed_ |= std::ranges::any_of(plan.changes, opensAWay) || std::ranges::any_of(ahead_, opensAWay);
  const Pinned before = pinned();
  const auto marks = connectionMarks(picture_.observed.nft);
  const Committed committed = commit(plan, std::move(desired));
  const std::vector<Move> moves = noteMoves(steering);
  keepGateways(steering);
  cullConnections(before, steering);
  unmark(marks);
  // Packets wait for what is above, only users for what follows.
  plan.changes.insert(plan.changes.begin(), ahead_.begin(), ahead_.end());
  ahead_.clear();
  tell(plan, committed);
  if (observer_.moved)
    for (const Move& move : moves) observer_.moved(move);
  if (observer_.steered) observer_.steered(steering);
  tellDeprecated(committed.report.ok() ? plan.changes : committed.report.made, steering);
  const bool otherRoutes = attend(steering);
  return lookInto(committed.report) || otherRoutes;
}

/// Connections outlive the rules that marked them.
void Engine::unmark(const std::optional<ConnectionMarks>& before) {
  if (!before || connectionMarks(picture_.observed.nft) == before) return;
  if (auto done = kernel_.unmarkConnections(before->marks, before->bits); !done) report(done.error());
}

/// Which addresses another program has made preferred again too soon, and when their turn comes.
void Engine::paceDeprecations() {
  std::erase_if(deprecatedAt_, [&](const auto& entry) { return entry.second + kDeprecationPause <= wokenAt_; });
  World& world = picture_.world;
  world.justDeprecated.clear();
  deprecateAgain_.reset();
  if (deprecatedAt_.empty()) return;
  for (const auto& [address, when] : deprecatedAt_) world.justDeprecated.insert(address);
  for (const InterfaceAddress& own : world.addresses) {
    const auto known = own.deprecated ? deprecatedAt_.end() : deprecatedAt_.find(own.address);
    if (known == deprecatedAt_.end()) continue;
    const Instant due = known->second + kDeprecationPause;
    deprecateAgain_ = std::min(deprecateAgain_.value_or(due), due);
  }
}

void Engine::tellDeprecated(const std::vector<Change>& made, const Steering& steering) {
  for (const Change& change : made) {
    const auto* set = std::get_if<SetDeprecated>(&change);
    if (set == nullptr) continue;
    if (set->on)
      deprecatedAt_.insert_or_assign(set->own.address, wokenAt_);
    else
      deprecatedAt_.erase(set->own.address);
    if (!observer_.deprecated) continue;
    const Wan* wan = wanDelegating(steering, set->own.address);
    observer_.deprecated(*set, wan == nullptr ? "" : wan->name, deviceNames(picture_.world));
  }
}

/// Makes the kernel announce only the foreign routes that a plan may depend on, which change with the WANs. True if the
/// routes to plan with have changed.
bool Engine::attend(const Steering& steering) {
  World& world = picture_.world;
  RouteInterest interest{.uplinks = {}, .tables = tablesOf(world.rules), .leftOut = world.leftOut};
  for (const Wan& wan : steering.wans)
    if (wan.link != nullptr) interest.uplinks.insert(wan.link->index);
  if (interest == world.interest) return false;
  if (auto done = kernel_.listen(interest); !done) {
    failedToRead(done.error());
    return false;
  }
  // Routes that a routing protocol set by a former WAN were not announced so far; nor was any route of a table that no
  // rule looked up.
  const bool more =
      interest.leftOut < world.interest.leftOut || !std::ranges::includes(world.interest.tables, interest.tables) ||
      std::ranges::any_of(
          world.interest.uplinks,
          [&](IfIndex device) { return world.link(device) != nullptr && !interest.uplinks.contains(device); });
  world.interest = std::move(interest);
  const auto unwanted = std::erase_if(world.routes, [&](const Route& route) { return !world.interest.wants(route); });
  return more ? reread({.rtnetlink = true}) : unwanted > 0;
}

Engine::Committed Engine::commit(const Plan& plan, State desired) {
  imagined_ = false;
  CommitReport report;
  statistics_.changes += lineCount(ahead_);
  if (!plan.empty()) {
    report = kernel_.commit(plan, config_.numbers);
    statistics_.changes += lineCount(report.ok() ? plan.changes : report.made);
    statistics_.failures += failuresOf(report);
  } else {
    report.complete = plan.heldBack.empty();
  }
  const auto took = now_() - wokenAt_;
  if (!plan.empty() || !ahead_.empty()) {
    ++statistics_.plans;
    statistics_.applied[std::to_underlying(trigger_)].add(took);
  }
  if (report.ok())
    settle(picture_, plan, std::move(desired));
  else
    settle(picture_, report.made);
  refusals_.learn(plan, report, wokenAt_);
  return {std::move(report), took};
}

/// EEXIST and ENOENT mean that the picture is wrong: the actual state is read, and what follows from it is done at
/// once.
bool Engine::lookInto(const CommitReport& report) {
  const auto isOf = [](const ChangeResult& result, ErrorKind kind) { return result.status.error().kind == kind; };
  Stale stale;
  for (const ChangeResult& result : report.failed) {
    if (!isOf(result, ErrorKind::alreadyThere) && !isOf(result, ErrorKind::notThere)) continue;
    stale |= std::visit(Overload{[](const AddRoute&) { return Stale{.ownRoutes = true}; },
                                 [](const DeleteRoute&) { return Stale{.ownRoutes = true}; },
                                 [](const AddRule&) { return Stale{.rtnetlink = true}; },
                                 [](const DeleteRule&) { return Stale{.rtnetlink = true}; },
                                 [](const SetTunnelMark&) { return Stale{.tunnels = true}; },
                                 [](const SetSysctl&) { return Stale{.links = true}; },
                                 [](const SetDeprecated&) { return Stale{.links = true}; },
                                 [](const NftTransaction&) { return Stale{.nft = true}; }},
                        result.change);
  }
  auto refused = refusals_.wans();
  const bool wans = refused != picture_.world.refusedRoutes;
  picture_.world.refusedRoutes = std::move(refused);
  const State before = stale.any() ? picture_.observed : State{};
  return (stale.any() && reread(stale) && picture_.observed != before) || wans;
}

void Engine::tell(const Plan& plan, const Committed& committed) {
  const DeviceName names = deviceNames(picture_.world);
  const auto& failed = committed.report.failed;
  if (observer_.occasion)
    observer_.occasion({trigger_, heard_, plan, failuresOf(committed.report), committed.took}, names);
  if (observer_.failed)
    for (const ChangeResult& result : failed) observer_.failed(result.change, result.status.error(), names);
}

/// What could not be read or checked is read again later.
void Engine::failedToRead(const Error& error) {
  report(error);
  looks_.failed(wokenAt_, trigger_ == Trigger::retry);
}

bool Engine::reread(const Stale& stale) {
  const auto troubles = picture_.world.tunnelTroubles;
  auto tunnels = picture_.world.tunnels;
  if (stale.rtnetlink) ++statistics_.resyncs;
  std::set<IfIndex> known;
  const bool linksAlone = stale.links && !stale.tunnels && !stale.rtnetlink;
  if (linksAlone)
    for (const auto& [index, link] : picture_.world.links) known.insert(index);
  auto done = kernel_.refresh(picture_, config_.numbers, stale);
  // A device that was found this way is not new any more when it is announced: it may be a tunnel.
  const auto isNew = [&](const auto& entry) { return !known.contains(entry.first); };
  if (done && linksAlone && std::ranges::any_of(picture_.world.links, isNew))
    done = kernel_.refresh(picture_, config_.numbers, {.tunnels = true});
  // What was derived from a hundred thousand peers is still right: only their counters are new.
  if (!tunnels.same(picture_.world.tunnels) && sameForPlans(*tunnels, *picture_.world.tunnels)) {
    takeCounters(tunnels.inPlace(), *picture_.world.tunnels);
    picture_.world.tunnels = std::move(tunnels);
  }
  tellTunnelTroubles(troubles);
  if (done) return true;
  failedToRead(done.error());
  return false;
}

/// A problem of one device: it delays nothing else, and the device is read again at each poll.
void Engine::tellTunnelTroubles(const std::map<IfName, std::string>& before) const {
  if (!observer_.trouble) return;
  for (const auto& [tunnel, why] : picture_.world.tunnelTroubles) {
    const auto known = before.find(tunnel);
    if (known == before.end() || known->second != why) report(Error{ErrorKind::busy, 0, why, {}});
  }
}

/// The kernel's state, combined with our own knowledge.
Result<Picture> Engine::lookAnew() {
  auto seen = kernel_.observe(config_.numbers);
  if (!seen) return seen;
  static_cast<Knowledge&>(seen->world) = static_cast<const Knowledge&>(picture_.world);
  if (seen->observed.nft) adopt(seen->world, *seen->observed.nft);
  seen->observed.deprecated = deprecatedByUs(seen->world);
  takeTunnels(*seen, config_.numbers, allTunnels(seen->world));
  noteDepartures(*seen, picture_.world.tunnels);
  return seen;
}

bool Engine::resync() {
  ++statistics_.resyncs;
  auto seen = lookAnew();
  if (seen) {
    const auto troubles = std::move(picture_.world.tunnelTroubles);
    picture_ = std::move(*seen);
    tellTunnelTroubles(troubles);
    strayed_ = true;
    sourced_.clear();
    return true;
  }
  failedToRead(seen.error());
  return false;
}

Result<Pending> Engine::pending(WallSeconds wallClock) {
  const auto seen = lookAnew();
  if (!seen) return std::unexpected(seen.error());
  return wgsteer::pending(config_, *seen, wallClock);
}

/// Clears WireGuard's cached sources of tunnels whose WAN or source changed: in IPv6 it would keep using the dead WAN's
/// address until its peer sends something (Linux 6.1, send6 in drivers/net/wireguard/socket.c).
std::vector<Move> Engine::noteMoves(const Steering& steering) {
  InUseTracker::News news = inUse_.update(steering, std::exchange(strayed_, false));
  statistics_.failovers += news.moves.size();
  for (const TunnelView* view : news.moved) {
    clearSources(*view->tunnel);
    sources_.clearLater(*view->tunnel);
    forgetTranslations(steering, *view);
  }
  return std::move(news.moves);
}

void Engine::clearSources(const Tunnel& tunnel) {
  if (const auto done = sources_.clear(tunnel, picture_, config_.numbers); !done) failedToRead(done.error());
}

/// For hosts behind this one: nothing else that is steered is translated, and the request would load connection
/// tracking.
void Engine::forgetTranslations(const Steering& steering, const TunnelView& view) {
  if (!config_.forward || !picture_.observed.nft) return;
  auto done = kernel_.forgetTranslations(rightSources(steering, view, picture_.observed.nft->table));
  if (!done) report(done.error());
}

void Engine::keepGateways(const Steering& steering) {
  gateways_.keep(kernel_, steering, wokenAt_, [this](const Error& error) { report(error); });
}

}  // namespace wgsteer
