// SPDX-License-Identifier: GPL-2.0-or-later
#include "support/random_world.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string>

#include "wgsteer/core/desire.hpp"

namespace wgsteer::test {

namespace {

Address addressAt(Family family, unsigned network, unsigned host) {
  const auto text = family == Family::v4 ? "10." + std::to_string(network) + ".0." + std::to_string(host)
                                         : "2001:db8:" + std::to_string(network) + "::" + std::to_string(host);
  return *Address::parse(text);
}

Route foreignRoute(Prefix destination, IfIndex device, std::optional<Address> gateway, std::uint32_t metric) {
  Route route;
  route.table = kMainTable;
  route.destination = destination;
  route.source = Prefix::any(destination.family());
  route.metric = metric;
  route.hops = {NextHop{.device = device, .gateway = gateway}};
  route.protocol = 3;
  return route;
}

class Builder {
 public:
  explicit Builder(Random& random) : random_(random) {}

  World build() {
    addKernelRules();
    const unsigned wans = 1 + random_.number(4);
    for (unsigned i = 0; i < wans; ++i) addUplink("wan" + std::to_string(i), 10 + i, i);
    for (unsigned i = 0; i < random_.number(3); ++i) addLan("lan" + std::to_string(i), 50 + i);
    if (random_.chance(20)) addTwinOfALan();
    const unsigned tunnels = random_.number(4);
    for (unsigned i = 0; i < tunnels; ++i) addTunnel("wg" + std::to_string(i), 90 + i);
    addForeignRules();
    addSpecificRoutes();
    if (random_.chance(30)) addUplinkOfItsOwn();
    if (random_.chance(10)) addVrf();
    return std::move(world_);
  }

 private:
  Link& addLink(const std::string& name, const std::string& kind) {
    Link link;
    link.index = IfIndex{nextIndex_++};
    link.name = name;
    link.kind = kind;
    link.up = random_.chance(90);
    link.carrier = link.up && random_.chance(90);
    if (random_.chance(20)) link.sysctls.insert(SysctlKind::ignoreLinkdown4);
    link.rpFilter = static_cast<std::uint8_t>(random_.number(3));
    return world_.links.emplace(link.index, link).first->second;
  }

  void addAddress(const Link& link, Family family, unsigned network) {
    InterfaceAddress own;
    own.device = link.index;
    own.address = addressAt(family, network, 10);
    own.prefixLength = family == Family::v4 ? 24 : 64;
    own.deprecated = random_.chance(5);
    own.tentative = family == Family::v6 && random_.chance(5);
    addAddress(link, own);
  }

  /// With the route that the kernel makes, or NetworkManager.
  void addAddress(const Link& link, const InterfaceAddress& own) {
    world_.addresses.insert(own);
    if (!link.up) return;
    const Family family = own.address.family();
    const std::uint32_t byKernel = family == Family::v4 ? 0 : 256;
    Route connected = foreignRoute(Prefix{own.address, own.prefixLength}, link.index, {},
                                   own.noPrefixRoute ? 100 + random_.number(500) : byKernel);
    connected.protocol = 2;
    if (family == Family::v4) connected.preferredSource = own.address;
    world_.routes.insert(connected);
  }

  void addUplink(const std::string& name, unsigned network, unsigned position) {
    const Link link = addLink(name, "veth");
    for (const Family family : kFamilies) {
      if (random_.chance(15)) continue;
      addAddress(link, family, network);
      if (random_.chance(15) || !link.up) continue;
      const auto gateway = random_.chance(90) ? std::optional{addressAt(family, network, 1)} : std::nullopt;
      Route route = foreignRoute(Prefix::any(family), link.index, gateway, 10 * position);
      if (family == Family::v6 && random_.chance(20)) route.source = Prefix{addressAt(family, network, 0), 48};
      world_.routes.insert(route);
    }
  }

  void addLan(const std::string& name, unsigned network) {
    const Link link = addLink(name, "bridge");
    for (const Family family : kFamilies) addAddress(link, family, network);
    if (random_.chance(30)) addAddress(link, Family::v4, network + 20);
  }

  /// A second device in the subnet of the first LAN.
  void addTwinOfALan() {
    const Link link = addLink("twin", "");
    for (const Family family : kFamilies) {
      InterfaceAddress own;
      own.device = link.index;
      own.address = addressAt(family, 50, 11);
      own.prefixLength = family == Family::v4 ? 24 : 64;
      own.noPrefixRoute = random_.chance(70);
      addAddress(link, own);
    }
  }

  void addTunnel(const std::string& name, unsigned network) {
    Link& link = addLink(name, random_.chance(50) ? "wireguard" : "tun");
    link.up = link.carrier = true;
    addAddress(link, Family::v4, network);
    Tunnel tunnel;
    tunnel.name = name;
    tunnel.backend = link.kind == "tun" ? TunnelBackend::userspace : TunnelBackend::kernel;
    tunnel.listenPort = static_cast<std::uint16_t>(random_.chance(80) ? 51820 + network : 0);
    if (random_.chance(25)) tunnel.fwmark = Mark{random_.chance(50) ? 0xca6cU : 0x1234U};
    for (unsigned i = 0; i <= random_.number(3); ++i) tunnel.peers.push_back(randomPeer(network, i));
    std::ranges::sort(tunnel.peers, {}, &Peer::publicKey);
    addTunnelRoutes(link);
    world_.tunnels.edit().emplace(name, std::move(tunnel));
  }

  Peer randomPeer(unsigned network, unsigned number) {
    Peer peer;
    std::array<std::uint8_t, PublicKey::kSize> key{};
    key[0] = static_cast<std::uint8_t>(network);
    key[1] = static_cast<std::uint8_t>(number);
    peer.publicKey = PublicKey{key};
    const Family family = random_.chance(60) ? Family::v4 : Family::v6;
    // On the Internet, in a WAN's subnet, in a LAN, inside a tunnel's range.
    constexpr std::array kNetworks{200U, 10U, 11U, 50U, 70U, 90U};
    const unsigned where = kNetworks[random_.number(kNetworks.size())];
    if (random_.chance(90)) peer.endpoint = Endpoint{addressAt(family, where, 77 + number), 51820};
    if (random_.chance(50)) peer.allowedIps.push_back(Prefix::any(Family::v4));
    if (random_.chance(30)) peer.persistentKeepalive = 25;
    return peer;
  }

  void addTunnelRoutes(const Link& link) {
    for (const Family family : kFamilies) {
      if (random_.chance(30)) continue;
      const Prefix any = Prefix::any(family);
      if (random_.chance(50)) {
        const auto upper = family == Family::v4 ? "128.0.0.0" : "8000::";
        world_.routes.insert(foreignRoute(Prefix{any.address(), 1}, link.index, {}, 0));
        world_.routes.insert(foreignRoute(Prefix{*Address::parse(upper), 1}, link.index, {}, 0));
      } else {
        world_.routes.insert(foreignRoute(any, link.index, {}, random_.number(3)));
      }
    }
  }

  Rule kernelRule(Family family, std::uint32_t priority, TableId table) {
    Rule rule;
    rule.family = family;
    rule.priority = priority;
    rule.table = table;
    rule.protocol = 2;
    return rule;
  }

  void addKernelRules() {
    for (const Family family : kFamilies) {
      world_.rules.insert(kernelRule(family, 0, kLocalTable));
      world_.rules.insert(kernelRule(family, 32766, kMainTable));
    }
    world_.rules.insert(kernelRule(Family::v4, 32767, kDefaultTable));
  }

  void addForeignRules() {
    if (random_.chance(70)) return;
    Rule rule = kernelRule(Family::v4, 110, kMainTable);
    rule.mark = {0x100, 0x3f00};
    rule.protocol = 0;
    world_.rules.insert(rule);
    rule = kernelRule(Family::v6, 1300, TableId{52});
    rule.protocol = 0;
    world_.rules.insert(rule);
  }

  /// An uplink whose default route is in a table of its own, and a foreign rule that leads there.
  void addUplinkOfItsOwn() {
    const Link link = addLink("isp", "");
    for (const Family family : kFamilies) {
      addAddress(link, family, 60);
      if (!link.up) continue;
      Route uplink = foreignRoute(random_.chance(70) ? Prefix::any(family) : Prefix{addressAt(family, 200, 0), 24},
                                  link.index, addressAt(family, 60, 1), 0);
      uplink.table = TableId{102};
      world_.routes.insert(uplink);
      Rule rule = kernelRule(family, 1000 + random_.number(100), TableId{102});
      rule.protocol = 0;
      switch (random_.number(4)) {
        case 0:
          rule.source = Prefix::host(addressAt(family, 60, 10));
          break;
        case 1:
          rule.destination =
              Prefix{addressAt(family, 200, 0), static_cast<std::uint8_t>(family == Family::v4 ? 16 : 48)};
          break;
        case 2:
          rule.mark = {0x1234, 0xffffffff};
          break;
        default:
          // For all packets, so main's specific routes come first, as is usual with such rules.
          Rule main = kernelRule(family, 999, kMainTable);
          main.suppressPrefixLength = 0;
          world_.rules.insert(main);
      }
      world_.rules.insert(rule);
    }
  }

  void addVrf() {
    Link& link = addLink("red0", "veth");
    link.inVrf = true;
    world_.udpHearsVrfs = random_.chance(50);
    Rule rule = kernelRule(Family::v4, 1000, TableId{0});
    rule.l3mdev = rule.otherSelector = true;
    world_.rules.insert(rule);
    Route uplink = foreignRoute(Prefix::any(Family::v4), link.index, addressAt(Family::v4, 61, 1), 0);
    uplink.table = TableId{10};
    world_.routes.insert(uplink);
  }

  /// Static routes behind LANs, host routes by WANs, routes into tunnels, and a `lookup local` that is not the first
  /// rule.
  void addSpecificRoutes() {
    for (const auto& [index, link] : world_.links) {
      if (!link.up || !random_.chance(30)) continue;
      const Family family = random_.chance(50) ? Family::v4 : Family::v6;
      const std::uint8_t length = family == Family::v4 ? 24 : 64;
      const Prefix prefix{addressAt(family, 200, 0),
                          random_.chance(50) ? length : static_cast<std::uint8_t>(length - 8)};
      const bool direct = world_.tunnels.contains(link.name);
      const auto gateway = direct ? std::nullopt : std::optional{addressAt(family, 50, 254)};
      world_.routes.insert(foreignRoute(prefix, index, gateway, random_.number(3)));
    }
    if (!random_.chance(20)) return;
    for (const Family family : kFamilies) {
      world_.rules.erase(kernelRule(family, 0, kLocalTable));
      world_.rules.insert(kernelRule(family, 32765, kLocalTable));
    }
  }

  Random& random_;
  World world_;
  std::int32_t nextIndex_ = 2;
};

std::vector<PolicyMember> randomMembers(Random& random, const std::vector<WanConfig>& wans) {
  std::vector<PolicyMember> members;
  for (const WanConfig& wan : wans)
    if (random.chance(60))
      members.push_back(
          {wan.name, random.chance(20) ? 1U : static_cast<std::uint32_t>(members.size() + 1), 1 + random.number(4)});
  if (members.empty()) members.push_back({wans.front().name, 1, 1});
  return members;
}

}  // namespace

World randomWorld(Random& random) { return Builder{random}.build(); }

Config randomConfig(Random& random, const World& world) {
  Config config;
  config.forward = random.chance(20);
  config.sysctl = random.chance(80);
  if (random.chance(20)) config.numbers.rulePriority = 500;
  if (random.chance(40)) return config;
  for (const auto& [index, link] : world.links) {
    if (!link.name.starts_with("wan") || random.chance(20)) continue;
    WanConfig wan;
    wan.name = "uplink-" + link.name;
    wan.device = link.name;
    wan.metric = static_cast<std::uint32_t>(config.wans.size() + 1);
    config.wans.push_back(wan);
  }
  if (config.wans.empty()) return config;
  for (unsigned i = 0; i < random.number(3); ++i)
    config.policies.push_back(
        {.name = "policy" + std::to_string(i), .members = randomMembers(random, config.wans), .lastResort = {}});
  for (const auto& [name, tunnel] : world.tunnels) {
    TunnelConfig wanted;
    wanted.interface = name;
    if (!config.policies.empty() && random.chance(50)) wanted.policy = config.policies.front().name;
    wanted.role = random.chance(20) ? Role::server : Role::automatic;
    config.tunnels.push_back(wanted);
    if (!config.policies.empty() && !tunnel.peers.empty() && random.chance(40))
      config.peers.push_back({name, tunnel.peers.front().publicKey, std::nullopt, config.policies.back().name});
  }
  return config;
}

State randomLeftovers(Random& random, const World& world) {
  State left;
  if (random.chance(20)) return left;
  Config other = randomConfig(random, world);
  if (random.chance(30)) other.numbers.rulePriority = 200;
  std::ranges::reverse(other.wans);
  left = desire(other, world);
  const unsigned missing = random.number(50);
  std::erase_if(left.rules, [&](const Rule&) { return random.chance(missing); });
  std::erase_if(left.routes, [&](const Route&) { return random.chance(missing); });
  std::erase_if(left.tunnelMarks, [&](const auto&) { return random.chance(missing); });
  std::erase_if(left.sysctls, [&](const Sysctl&) { return random.chance(missing); });
  if (left.nft && random.chance(missing)) left.nft->layout.intact = false;
  if (left.nft) std::erase_if(left.nft->table.endpoints.edit(), [&](const auto&) { return random.chance(missing); });
  if (random.chance(missing)) left.nft.reset();
  // Without a record in the table they are not known to be ours.
  if (!left.nft) left.sysctls.clear();
  return left;
}

std::vector<std::uint64_t> seeds(std::uint64_t count) {
  if (const char* one = std::getenv("WGSTEER_SEED")) return {std::strtoull(one, nullptr, 10)};
  std::vector<std::uint64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 1);
  return all;
}

}  // namespace wgsteer::test
