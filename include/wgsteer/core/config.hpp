// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration after validation: every reference resolves, every number is in range. The default-constructed
// Config stands for no configuration at all: all WANs are found by their default routes, one policy covers them all,
// and every tunnel is protected.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/host_port.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/numbers.hpp"
#include "wgsteer/core/route.hpp"
#include "wgsteer/core/time.hpp"

namespace wgsteer {

enum class OnExit : std::uint8_t { keep, flush };
enum class LogLevel : std::uint8_t { error, warn, info, debug };
enum class TrackMethod : std::uint8_t { none, icmp, dns, tcp, mwan3 };
enum class LastResort : std::uint8_t { unreachable, main };
enum class Role : std::uint8_t { automatic, client, server };
/// What becomes of connections on a spare exit when a better one is back.
enum class Failback : std::uint8_t {
  keep,   ///< they stay where they are
  drain,  ///< they move once they have been idle for a while
  move,   ///< they move at once
};
/// How the connections of rules are shared among exits of equal metric.
enum class Balance : std::uint8_t {
  connection,  ///< each by itself
  pair,        ///< all between the same two addresses together (the kernel's multipath)
  source,      ///< all of one source address together
};
/// What becomes of packets of rules that leave by an exit with an IPv6 source that is not of that exit: its provider
/// drops them.
enum class ForeignSource : std::uint8_t {
  none,        ///< they leave as they are
  reject,      ///< their sender is told at once, and tries another address or IPv4
  masquerade,  ///< they get the exit's address
  translate,   ///< they get the exit's prefix, and the rest of the address stays; what cannot is rejected
};
/// Whose packets a rule is for.
enum class Origin : std::uint8_t { any, forwarded, local };
enum class RuleUse : std::uint8_t { policy, main, unreachable, blackhole };

/// Identifier, sequence and a nonce have to fit in the payload of an echo request.
inline constexpr std::uint32_t kMinProbeSize = 16;

/// What OpenWrt's users and netifd itself call the interface that carries the IPv6 of `wan`: wan6, wan_6, wanv6.
inline constexpr std::array<std::string_view, 3> kIpv6Suffixes{"6", "_6", "v6"};

struct WanConfig {
  std::string name;
  IfName device;                      ///< empty: its interface has none at the moment
  std::string interface;              ///< netifd's name that stands for the device; empty unless on OpenWrt
  std::string ipv6Interface;          ///< mwan3's name for the IPv6 of this link; empty: the interface's with a suffix
  std::vector<Address> gateway;       ///< its routers, one of each family at most; empty: any that the device has
  std::uint32_t metric = kMinMetric;  ///< lower first; default: position among the WANs, from 1
  std::uint32_t weight = 1;           ///< share among equal metrics, 1..256
  std::vector<Address> dns;           ///< name servers; empty: those known for the link
  std::vector<Endpoint> trackIp;      ///< port 0: the method's default
  TrackMethod trackMethod = TrackMethod::none;
  // From here on names, defaults and meaning are mwan3's (net/mwan3/files/usr/sbin/mwan3track in OpenWrt's packages).
  Duration interval = std::chrono::seconds{10};  ///< between rounds
  Duration timeout = std::chrono::seconds{4};
  std::uint32_t down = 5;                    ///< bad rounds in a row that make it down
  std::uint32_t up = 5;                      ///< good rounds in a row that make it up again
  std::uint32_t count = 1;                   ///< probes to each target in a round
  std::uint32_t reliability = 1;             ///< targets of a family that must answer for a round to be good
  std::uint32_t size = 56;                   ///< bytes of payload, ICMP
  std::uint32_t maxTtl = 60;                 ///< time to live, hop limit
  std::optional<Duration> failureInterval;   ///< while going down; default: interval
  std::optional<Duration> recoveryInterval;  ///< while coming up; default: interval
  bool keepFailureInterval = false;          ///< keep failureInterval while down
  bool checkQuality = false;                 ///< the four thresholds below count as well
  std::chrono::milliseconds failureLatency{1000};
  std::chrono::milliseconds recoveryLatency{500};
  std::uint32_t failureLoss = 40;   ///< percent
  std::uint32_t recoveryLoss = 10;  ///< percent
  bool metered = false;             ///< connections on it move as soon as they can, whatever their policy's failback
  std::vector<Prefix> prefixes;     ///< of IPv6, delegated by its provider: besides those of source-specific routes
  bool sourceRouting = false;       ///< packets from these prefixes leave by it
  /// While it cannot be used in IPv6, this host's addresses in these prefixes on other devices are deprecated.
  bool deprecate = false;
  bool operator==(const WanConfig&) const = default;
};

/// Its router in this family, if it is named.
std::optional<Address> gatewayOf(const WanConfig& wan, Family family);
/// Whether two WANs on one device can be told apart: in one family at least by their gateways, and no gateway is
/// both's.
bool canShareDevice(const WanConfig& left, const WanConfig& right);

/// One WAN in a policy's order of preference.
struct PolicyMember {
  std::string wan;
  std::uint32_t metric = kMinMetric;  ///< default: position in the list, from 1; equal metrics share by weight
  std::uint32_t weight = 1;
  bool operator==(const PolicyMember&) const = default;
};

struct PolicyConfig {
  std::string name;
  std::vector<PolicyMember> members;  ///< empty: all WANs by their own metrics
  LastResort lastResort = LastResort::unreachable;
  Failback failback = Failback::keep;
  std::chrono::seconds drainAfter{60};  ///< how long a connection must be idle to move, with Failback::drain
  bool reset = false;  ///< TCP that an exit's death has ended is reset, for as long as that exit is dead
  Balance balance = Balance::connection;
  ForeignSource foreignSource = ForeignSource::none;
  bool operator==(const PolicyConfig&) const = default;
};

/// The policy of every tunnel that names none: all WANs by their own metrics, with `unreachable` as the last resort.
inline constexpr std::string_view kDefaultPolicy = "default";

struct TunnelConfig {
  IfName interface;
  std::string policy{kDefaultPolicy};  ///< name of a PolicyConfig, or kDefaultPolicy
  Role role = Role::automatic;
  std::chrono::seconds stall{20};  ///< without an answer; 0: never
  std::chrono::seconds hold{60};   ///< away from the preferred WAN before it is tried again
  bool enabled = true;             ///< false: left alone entirely
  bool updateEndpoint = true;      ///< peers with a host name follow its addresses
  /// Assigns each peer to one of the WANs of equal metric by its key, instead of each flow; not for servers.
  bool balance = false;
  bool operator==(const TunnelConfig&) const = default;
};

struct PeerConfig {
  IfName tunnel;
  PublicKey publicKey;
  std::optional<HostPort> endpoint;   ///< default: the kernel's
  std::optional<std::string> policy;  ///< default: its tunnel's
  bool operator==(const PeerConfig&) const = default;
};

/// What a packet's value must be: one of `any`, unless that is empty, and none of `none`.
template <class T>
struct Selector {
  std::vector<T> any;
  std::vector<T> none;
  bool empty() const { return any.empty() && none.empty(); }
  bool operator==(const Selector&) const = default;
};

using MacAddress = std::array<std::uint8_t, 6>;

/// For any traffic: the first rule whose selectors match a new connection decides where it goes. Selectors are ANDed.
struct RuleConfig {
  std::string name;         ///< unique; default: its position, from 1
  Selector<Prefix> source;  ///< may hold both families; a rule with values of one family leaves the other alone
  Selector<Prefix> destination;
  Selector<PortRange> sourcePort;  ///< of TCP and UDP, unless `protocol` says otherwise
  Selector<PortRange> destinationPort;
  Selector<std::uint8_t> protocol;  ///< IANA's numbers
  std::optional<Family> family;     ///< none: both
  Selector<IfName> inputDevice;     ///< only forwarded packets have one
  Origin origin = Origin::any;
  Selector<MacAddress> sourceMac;
  Selector<std::uint8_t> dscp;  ///< 0..63
  RuleUse use = RuleUse::policy;
  std::string policy;  ///< name of a PolicyConfig, or kDefaultPolicy; only with RuleUse::policy
  bool sticky = false;
  std::chrono::seconds timeout{600};  ///< of the memory of a sticky rule
  bool enabled = true;
  bool operator==(const RuleConfig&) const = default;
};

struct Config {
  Numbers numbers;
  OnExit onExit = OnExit::keep;
  bool sysctl = true;
  bool force = false;    ///< start although a mark overlaps that of a foreign rule
  bool netifd = false;   ///< OpenWrt's netifd runs here: its host routes to endpoints do not choose a WAN
  bool forward = false;  ///< steer WireGuard of hosts behind this gateway to known endpoints as well
  LogLevel logLevel = LogLevel::info;
  std::vector<WanConfig> wans;  ///< empty: found by their default routes
  std::vector<PolicyConfig> policies;
  std::vector<TunnelConfig> tunnels;
  std::vector<PeerConfig> peers;
  std::vector<RuleConfig> rules;      ///< those that are enabled, in the order in which they are asked
  std::vector<TableId> insideTables;  ///< whose specific routes precede rules, as those of main do
  /// Of IPv6, what `translate` translates besides the prefixes of other WANs: a LAN's own, which no WAN delegated.
  std::vector<Prefix> insidePrefixes;
  bool operator==(const Config&) const = default;

  /// The settings of a tunnel: those of its section, or the defaults.
  const TunnelConfig& tunnel(const IfName& interface) const;
};

}  // namespace wgsteer
