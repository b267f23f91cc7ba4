// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/linux_kernel.hpp"

#include <functional>
#include <initializer_list>

#include "wgsteer/core/nexthops.hpp"
#include "wgsteer/core/ours.hpp"
#include "wgsteer/core/overload.hpp"
#include "wgsteer/core/steering.hpp"

#include "kernel/sysctl_files.hpp"

namespace wgsteer::kernel {

namespace {

/// Runs the steps until one fails.
Status inOrder(std::initializer_list<std::function<Status()>> steps) {
  for (const auto& step : steps)
    if (Status outcome = step(); !outcome) return outcome;
  return {};
}

/// What had to be taken back vanished with its device.
Status orGone(bool takenBack, Status outcome) {
  if (takenBack && !outcome && outcome.error().kind == ErrorKind::notThere) return {};
  return outcome;
}

}  // namespace

Result<std::unique_ptr<LinuxKernel>> LinuxKernel::open() {
  auto rtnetlink = netlink::Rtnetlink::open();
  if (!rtnetlink) return std::unexpected(rtnetlink.error());
  auto nft = nft::Nft::open();
  if (!nft) return std::unexpected(nft.error());
  return std::unique_ptr<LinuxKernel>{new LinuxKernel{std::move(*rtnetlink), std::move(*nft)}};
}

Result<Picture> LinuxKernel::observe(const Numbers& numbers, const ObserveOptions& options) {
  Picture picture;
  // The owner of a tunnel's fwmark depends on the rules, the table and the routes; the routes that matter depend on the
  // tunnels.
  const auto outcome = inOrder({
      [&] { return readLinks(picture.world); },
      [&] { return readRules(picture); },
      [&] { return readNft(picture, numbers); },
      [&] { return readTunnels(picture, numbers); },
      [&] { return options.allRoutes ? readAllRoutes(picture) : readRoutes(picture); },
      [&] { return judgeTunnels(picture, numbers); },
  });
  if (!outcome) return std::unexpected(outcome.error());
  return picture;
}

Status LinuxKernel::refresh(Picture& picture, const Numbers& numbers, const Stale& stale) {
  const auto when = [](bool asked, auto step) -> std::function<Status()> {
    return [asked, step]() -> Status { return asked ? step() : Status{}; };
  };
  const bool network = stale.rtnetlink || stale.network;
  return inOrder({
      when(network || stale.links, [&] { return readLinks(picture.world); }),
      when(network, [&] { return readRules(picture); }),
      when(stale.tunnels || stale.rtnetlink, [&] { return readTunnels(picture, numbers); }),
      when(network, [&] { return readRoutes(picture); }),
      when(stale.rtnetlink, [&] { return judgeTunnels(picture, numbers); }),
      when(stale.ownRoutes && !network, [&] { return readOwnRoutes(picture.observed); }),
      when(stale.nft || stale.links || stale.rtnetlink, [&] { return readNft(picture, numbers); }),
  });
}

Status LinuxKernel::readLinks(World& world) {
  auto links = rtnetlink_.links();
  if (!links) return std::unexpected(links.error());
  auto addresses = rtnetlink_.addresses();
  if (!addresses) return std::unexpected(addresses.error());
  world.links = std::move(*links);
  world.addresses = std::move(*addresses);
  world.rpFilterAll = static_cast<std::uint8_t>(readNumber("ipv4/conf/all/rp_filter"));
  world.udpHearsVrfs = readNumber("ipv4/udp_l3mdev_accept") != 0;
  world.sysctlsAll.clear();
  if (readNumber("ipv4/conf/all/src_valid_mark") != 0) world.sysctlsAll.insert(SysctlKind::srcValidMark);
  return {};
}

Status LinuxKernel::readAllRoutes(Picture& picture) {
  if (auto done = readNexthops(picture.world); !done) return done;
  for (const Family family : kFamilies) {
    auto routes = rtnetlink_.routes(family, std::nullopt, [](const Route&) { return true; });
    if (!routes) return std::unexpected(routes.error());
    for (Route route : *routes) {
      resolve(picture.world.nexthops, route);
      (isOurs(route) ? picture.observed.routes : picture.world.routes).insert(std::move(route));
    }
  }
  return {};
}

Status LinuxKernel::readNexthops(World& world) {
  auto nexthops = rtnetlink_.nexthops();
  if (!nexthops) return std::unexpected(nexthops.error());
  world.nexthops = std::move(*nexthops);
  return {};
}

/// Reads all routes: half a second for a million, because the kernel cannot filter by prefix length.
Status LinuxKernel::sift(const World& world, RouteSieve& sieve, std::set<Route>& ours) {
  ours.clear();
  for (const Family family : kFamilies) {
    // A dump lists routes with the same key in their order.
    std::int32_t position = 0;
    const auto begin = [&] {
      position = 0;
      sieve.restart(family);
      std::erase_if(ours, [&](const Route& route) { return route.family() == family; });
    };
    const auto take = [&](Route&& route) {
      resolve(world.nexthops, route);
      if (family == Family::v4) route.position.value = position++;
      if (isOurs(route))
        ours.insert(std::move(route));
      else
        sieve.take(std::move(route));
    };
    if (auto done = rtnetlink_.eachRoute(family, std::nullopt, begin, take); !done) return done;
  }
  return {};
}

/// Before the first plan: devices with a default route of their own are WANs, unless they are tunnels.
RouteInterest LinuxKernel::guessedInterest(const RouteSieve& sieve, const World& world) const {
  RouteInterest guess{.uplinks = sieve.devicesOfDefaults(), .tables = tablesOf(world.rules)};
  std::erase_if(guess.uplinks, [&](IfIndex device) {
    const Link* link = world.link(device);
    return link != nullptr && isTunnel(world, *link);
  });
  return guess;
}

Status LinuxKernel::readRoutes(Picture& picture) {
  if (auto done = readNexthops(picture.world); !done) return done;
  auto asked = interest_;
  // There may be few enough again.
  if (asked) asked->leftOut = RouteInterest::LeftOut::nothing;
  RouteSieve sieve{asked, tablesOf(picture.world.rules)};
  std::set<Route> ours;
  if (auto done = sift(picture.world, sieve, ours); !done) return done;
  if (!interest_) {
    const RouteInterest guess = guessedInterest(sieve, picture.world);
    if (auto done = listen(guess); !done) return done;
    const bool lost = !sieve.narrow(guess);
    if (auto done = lost ? sift(picture.world, sieve, ours) : Status{}; !done) return done;
  }
  auto kept = sieve.finish();
  picture.world.interest = *interest_;
  picture.observed.routes = std::move(ours);
  picture.world.routes = std::move(kept.routes);
  picture.world.tooManyRoutes = kept.tooMany;
  picture.world.leftOut = kept.leftOut;
  return {};
}

Status LinuxKernel::listen(const RouteInterest& interest) {
  auto done = rtnetlink_.listen(interest);
  if (done) interest_ = interest;
  return done;
}

/// Table by table, a few microseconds each: only those known to contain routes of ours.
Status LinuxKernel::readOwnRoutes(State& observed) {
  std::set<std::pair<Family, TableId>> tables;
  for (const Rule& rule : observed.rules) tables.emplace(rule.family, rule.table);
  for (const Route& route : observed.routes) tables.emplace(route.family(), route.table);
  std::set<Route> found;
  for (const auto& [family, table] : tables) {
    auto routes = rtnetlink_.routes(family, table, [](const Route& route) { return isOurs(route); });
    if (!routes) return std::unexpected(routes.error());
    found.merge(*routes);
  }
  observed.routes = std::move(found);
  return {};
}

Status LinuxKernel::readRules(Picture& picture) {
  std::set<Rule> ours;
  std::set<Rule> foreign;
  for (const Family family : kFamilies) {
    auto rules = rtnetlink_.rules(family);
    if (!rules) return std::unexpected(rules.error());
    for (const Rule& rule : *rules) (isOurs(rule) ? ours : foreign).insert(rule);
  }
  picture.observed.rules = std::move(ours);
  picture.world.rules = std::move(foreign);
  return {};
}

Status LinuxKernel::readTunnels(Picture& picture, const Numbers& numbers) {
  auto seen = wireguard_.observe(picture.world.links);
  if (!seen) return std::unexpected(seen.error());
  tunnels_ = seen->tunnels;
  takeTunnels(picture, numbers, std::move(seen->tunnels));
  picture.world.tunnelTroubles = std::move(seen->troubles);
  return {};
}

Status LinuxKernel::judgeTunnels(Picture& picture, const Numbers& numbers) {
  takeTunnels(picture, numbers, allTunnels(picture.world));
  return {};
}

Status LinuxKernel::readNft(Picture& picture, const Numbers& numbers) {
  auto found = nft_->look(numbers);
  if (!found) return std::unexpected(found.error());
  picture.observed.nft = std::move(found->ours);
  picture.world.foreignTable = found->foreign;
  picture.observed.sysctls = sysctlsThatAreOn(picture);
  // Without our table (somebody flushed the ruleset), what it said is remembered until it is back.
  if (picture.observed.nft) adopt(picture.world, *picture.observed.nft);
  picture.observed.deprecated = deprecatedByUs(picture.world);
  return {};
}

/// `wg setconf` may have set its owner's mark since the tunnel was read: ours would take its place for good.
Status LinuxKernel::setTunnelMark(const SetTunnelMark& set, const Numbers& numbers) {
  const bool takenBack = set.mark == Mark{0};
  const auto tunnel = tunnels_.find(set.tunnel);
  const std::string what = "wg set " + set.tunnel + " fwmark";
  if (tunnel == tunnels_.end()) return orGone(takenBack, fail(ErrorKind::notThere, what + ": no such tunnel"));
  if (!set.was && numbers.isOurs(set.mark))
    if (const auto now = wireguard_.fwmark(tunnel->second); now && now->value != 0 && !numbers.isOurs(*now))
      return fail(ErrorKind::alreadyThere, what + ": its owner has set it to " + hex(now->value) + " in the meantime");
  return orGone(takenBack, wireguard_.setFwmark(tunnel->second, set.mark));
}

Status LinuxKernel::make(const Change& change, const Numbers& numbers) {
  return std::visit(Overload{
                        [&](const AddRoute& added) { return rtnetlink_.addRoute(added.route, added.replace); },
                        [&](const DeleteRoute& deleted) { return rtnetlink_.deleteRoute(deleted.route); },
                        [&](const AddRule& added) { return rtnetlink_.addRule(added.rule); },
                        [&](const DeleteRule& deleted) { return rtnetlink_.deleteRule(deleted.rule); },
                        [&](const SetTunnelMark& set) { return setTunnelMark(set, numbers); },
                        [&](const SetSysctl& set) { return orGone(!set.on, writeSysctl(set.sysctl, set.on)); },
                        [&](const SetDeprecated& set) { return orGone(!set.on, rtnetlink_.setDeprecated(set)); },
                        [&](const NftTransaction& transaction) { return nft_->commit(transaction, numbers); },
                    },
                    change);
}

CommitReport LinuxKernel::commit(const Plan& plan, const Numbers& numbers) {
  return carryOut(plan, numbers, [&](const Change& change) { return make(change, numbers); });
}

void LinuxKernel::prepare(const std::vector<std::vector<Change>>& writes) {
  prepared_.clear();
  for (const auto& changes : writes) prepared_.emplace_back(changes);
}

std::vector<Change> LinuxKernel::commitPrepared(std::size_t index) { return rtnetlink_.commit(prepared_[index]); }

Status LinuxKernel::clearSources(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers) {
  return wireguard_.clearSources(tunnel, fwmark, numbers);
}

Status LinuxKernel::forgetTranslations(const std::map<Endpoint, std::set<Address>>& rightSources) {
  const auto forgotten = conntrack_.forget(rightSources);
  if (!forgotten) return std::unexpected(forgotten.error());
  return {};
}

Status LinuxKernel::askLinks(const std::vector<IfIndex>& devices, const Sink& sink) {
  for (const IfIndex device : devices) {
    auto link = rtnetlink_.link(device);
    if (link)
      sink(LinkChanged{std::move(*link)});
    else if (link.error().kind != ErrorKind::notThere)  // its end is announced as well
      return std::unexpected(link.error());
  }
  return {};
}

Status LinuxKernel::subscribe() {
  return inOrder({
      [&] { return rtnetlink_.subscribe(); },
      [&] { return nft_->subscribe(); },
      [&] { return wireguard_.subscribe(); },
  });
}

std::vector<int> LinuxKernel::descriptors() const {
  std::vector<int> all;
  for (const int descriptor : {rtnetlink_.eventDescriptor(), nft_->eventDescriptor(), wireguard_.descriptor()})
    if (descriptor >= 0) all.push_back(descriptor);
  return all;
}

void LinuxKernel::drain(const Sink& sink) {
  rtnetlink_.drain(sink);
  if (nft_->drain()) sink(NftChanged{nft_->lastActor(), nft_->lostEvents()});
  if (wireguard_.drain()) sink(TunnelsChanged{});
}

}  // namespace wgsteer::kernel
