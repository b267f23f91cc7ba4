// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/firewall_trials.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "wgsteer/core/explain.hpp"

namespace wgsteer::firewall {

namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kIcmp6 = 58;
constexpr std::uint16_t kDnsPort = 53;
/// Each is evaluated against every rule that it meets.
constexpr std::size_t kMaxTrials = 200;

class Collector {
 public:
  Collector(const Config& config, const World& world, const Steering& steering, const State& state)
      : numbers_(config.numbers), config_(config), world_(world), steering_(steering), state_(state) {}

  std::vector<Trial> collect() {
    for (const Wan& wan : steering_.wans)
      for (const Family family : kFamilies)
        if (wan.link != nullptr && wan.eligible(family)) addProbes(wan, family);
    for (const TunnelView& view : steering_.tunnels) addTunnel(view);
    return std::move(trials_);
  }

 private:
  void add(Trial trial) {
    if (trials_.size() < kMaxTrials) trials_.push_back(std::move(trial));
  }

  void addTunnel(const TunnelView& view) {
    std::set<std::tuple<Family, std::size_t, std::optional<std::size_t>>> seen;
    const std::vector<Peer>& peers = view.tunnel->peers;
    for (std::size_t i = 0; i < peers.size(); ++i)
      if (peers[i].endpoint &&
          seen.emplace(peers[i].endpoint->address.family(), view.policyOf(i), view.wanOf(i)).second)
        addPeer(*view.tunnel, *peers[i].endpoint);
    // Peers that have never been in contact must be let in.
    const bool comesToUs = std::ranges::any_of(peers, [](const Peer& peer) { return !peer.endpoint.has_value(); });
    if (!view.server || !comesToUs || view.tunnel->listenPort == 0) return;
    for (const Wan& wan : steering_.wans)
      for (const Family family : kFamilies)
        if (wan.link != nullptr && wan.eligible(family)) addArrival(*view.tunnel, wan, family);
  }

  void addPeer(const Tunnel& tunnel, const Endpoint& endpoint) {
    const Packet packet = outerPacket(state_, tunnel, endpoint);
    const Walk walk = explain(state_, world_, packet);
    const Link* link = world_.linkNamed(walk.device);
    if (walk.outcome != Outcome::device || link == nullptr || walk.mark.value == 0) return;
    Sample sample{.family = endpoint.address.family(),
                  .protocol = kUdp,
                  .source = walk.source,
                  .destination = endpoint.address,
                  .destinationPort = endpoint.port,
                  .device = walk.device,
                  .deviceIndex = link->index,
                  .mark = packet.mark};
    if (tunnel.listenPort != 0) sample.sourcePort = tunnel.listenPort;
    // A fwmark that belongs to the user is matched as a whole.
    const std::uint32_t ours = walk.mark.value & numbers_.markMask;
    sample.expected = ours != 0 ? MarkMatch{ours, numbers_.markMask} : MarkMatch{walk.mark.value, 0xffffffff};
    const auto stamps = stampsFor({endpoint, tunnel.listenPort}, sample);
    for (const std::uint32_t state : {kNew, kEstablished}) {
      sample.connectionState = state;
      add({sample, Purpose::sent, tunnel.name + "'s packets to " + endpoint.toString(), stamps});
    }
    addAnswer(tunnel, sample);
  }

  /// The marks that the chains `output` and `remark` set.
  std::vector<OwnStamp> stampsFor(const Flow& own, Sample& sample) const {
    if (!state_.nft) return {};
    const NftTable& table = state_.nft->table;
    const auto special = table.flows.find(own);
    const auto usual = table.endpoints.find(own.endpoint);
    const bool isSpecial = special != table.flows.end();
    const auto slot = isSpecial ? special->second : usual != table.endpoints.end() ? usual->second : std::nullopt;
    if (!slot) return {};
    sample.again = numbers_.mark(*slot);
    return {{kOutputChainPriority, !isSpecial}, {kMangleChainPriority, true}};
  }

  void addAnswer(const Tunnel& tunnel, const Sample& sent) {
    const auto wan = std::ranges::find(steering_.wans, sent.device, &Wan::device);
    if (wan == steering_.wans.end() || !sent.destination || !sent.destinationPort) return;
    const Endpoint peer{*sent.destination, *sent.destinationPort};
    Sample sample = sent;
    sample.source = sent.destination;
    sample.sourcePort = sent.destinationPort;
    sample.destination = sent.source;
    sample.destinationPort = sent.sourcePort;
    sample.connectionState = kEstablished;
    addIncoming(sample, *wan, Purpose::answer,
                "replies from " + peer.toString() + " to " + tunnel.name + " on " + wan->device);
  }

  void addArrival(const Tunnel& tunnel, const Wan& wan, Family family) {
    Sample sample{.family = family,
                  .protocol = kUdp,
                  .destinationPort = tunnel.listenPort,
                  .device = wan.device,
                  .deviceIndex = wan.link->index};
    if (wan.source.contains(family)) sample.destination = wan.source.at(family);
    addIncoming(sample, wan, Purpose::arrival,
                "packets from new peers to " + tunnel.name + " (udp port " + std::to_string(tunnel.listenPort) +
                    ") by " + wan.device);
  }

  void addIncoming(Sample sample, const Wan& wan, Purpose purpose, std::string what) {
    sample.incoming = true;
    sample.mark = {};
    sample.again = sample.expected = numbers_.mark(wan.slot);
    add({std::move(sample), purpose, std::move(what), {{kEarlyChainPriority, false}, {kMangleChainPriority, false}}});
  }

  void addProbes(const Wan& wan, Family family) {
    Sample sample{.family = family,
                  .protocol = kUdp,
                  .destinationPort = kDnsPort,
                  .device = wan.device,
                  .deviceIndex = wan.link->index,
                  .mark = {numbers_.mark(wan.slot).value}};
    if (wan.source.contains(family)) sample.source = wan.source.at(family);
    const auto probed = std::ranges::find_if(config_.wans, [&](const WanConfig& one) {
      return one.name == wan.name && one.trackMethod != TrackMethod::none && one.trackMethod != TrackMethod::mwan3;
    });
    bool any = false;
    if (probed != config_.wans.end())
      for (const Endpoint& target : probed->trackIp)
        if (target.address.family() == family) {
          any = true;
          add({asProbe(sample, probed->trackMethod, target), Purpose::probe, "the probes of WAN " + wan.name, {}});
        }
    if (!any) add({sample, Purpose::mayProbe, "packets with the mark of WAN " + wan.name, {}});
  }

  /// Port 0: the default of the method, if it has one.
  static Sample asProbe(Sample sample, TrackMethod method, const Endpoint& target) {
    sample.destination = target.address;
    sample.destinationPort.reset();
    if (method == TrackMethod::dns) sample.destinationPort = kDnsPort;
    if (target.port != 0) sample.destinationPort = target.port;
    if (method == TrackMethod::tcp) sample.protocol = kTcp;
    if (method == TrackMethod::icmp) sample.protocol = sample.family == Family::v4 ? kIcmp : kIcmp6;
    return sample;
  }

  const Numbers& numbers_;
  const Config& config_;
  const World& world_;
  const Steering& steering_;
  const State& state_;
  std::vector<Trial> trials_;
};

}  // namespace

std::vector<Trial> trials(const Config& config, const World& world, const Steering& steering, const State& state) {
  return Collector{config, world, steering, state}.collect();
}

}  // namespace wgsteer::firewall
