// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel of the network namespace that this process is in.
#pragma once

#include <memory>
#include <optional>

#include "wgsteer/kernel.hpp"

#include "netlink/conntrack.hpp"
#include "netlink/rtnetlink.hpp"
#include "netlink/wireguard.hpp"
#include "nft/nft.hpp"

namespace wgsteer::kernel {

class LinuxKernel : public Kernel {
 public:
  static Result<std::unique_ptr<LinuxKernel>> open();

  Result<Picture> observe(const Numbers& numbers, const ObserveOptions& options = {}) override;
  Status refresh(Picture& picture, const Numbers& numbers, const Stale& stale) override;
  CommitReport commit(const Plan& plan, const Numbers& numbers) override;
  void prepare(const std::vector<std::vector<Change>>& writes) override;
  std::vector<Change> commitPrepared(std::size_t index) override;
  Status clearSources(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers) override;
  Status setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint) override {
    return wireguard_.setEndpoint(tunnel, peer, endpoint);
  }
  Status forgetTranslations(const std::map<Endpoint, std::set<Address>>& rightSources) override;
  Status forgetConnections(MarkMatch mark, std::optional<Family> family = {}) override {
    return conntrack_.forgetMarked(mark, family);
  }
  Result<std::size_t> forgetUnanswered(MarkMatch mark, Family family) override {
    return conntrack_.forgetUnanswered(mark, family);
  }
  Result<std::size_t> forgetTranslatedTo(std::uint32_t mask,
                                         const std::map<Mark, std::set<Address>>& wrongSources) override {
    return conntrack_.forgetTranslatedTo(mask, wrongSources);
  }
  Result<std::size_t> unmarkConnections(MarkMatch mark, std::uint32_t bits) override {
    return conntrack_.unmark(mark, bits);
  }
  Result<Drained> forgetIdle(MarkMatch mark, Family family, IdleWatch& watch, Instant now) override {
    return conntrack_.forgetIdle(mark, family, watch, now);
  }
  Result<std::map<std::uint32_t, std::size_t>> connectionsByMark(std::uint32_t mask) override {
    return conntrack_.countMarked(mask);
  }
  Status warm(const Neighbour& neighbour) override { return rtnetlink_.warm(neighbour); }
  Status askLinks(const std::vector<IfIndex>& devices, const Sink& sink) override;
  Result<Counters> counters() override { return nft_->counters(); }
  Status listen(const RouteInterest& interest) override;
  Status subscribe() override;
  std::vector<int> descriptors() const override;
  void drain(const Sink& sink) override;

  /// See Rtnetlink::traceTo().
  void traceTo(netlink::Rtnetlink::Trace trace) { rtnetlink_.traceTo(std::move(trace)); }

  /// What the kernel's FIB says about a packet; for tests.
  Result<netlink::Rtnetlink::Found> lookup(const Packet& packet) { return rtnetlink_.lookup(packet); }

 private:
  LinuxKernel(netlink::Rtnetlink rtnetlink, std::unique_ptr<nft::Nft> nft)
      : rtnetlink_(std::move(rtnetlink)), nft_(std::move(nft)) {}

  Status readLinks(World& world);
  Status readRoutes(Picture& picture);
  Status readAllRoutes(Picture& picture);
  Status readNexthops(World& world);
  Status sift(const World& world, RouteSieve& sieve, std::set<Route>& ours);
  RouteInterest guessedInterest(const RouteSieve& sieve, const World& world) const;
  Status readOwnRoutes(State& observed);
  Status readRules(Picture& picture);
  Status readTunnels(Picture& picture, const Numbers& numbers);
  static Status judgeTunnels(Picture& picture, const Numbers& numbers);
  Status readNft(Picture& picture, const Numbers& numbers);
  Status setTunnelMark(const SetTunnelMark& set, const Numbers& numbers);
  Status make(const Change& change, const Numbers& numbers);

  netlink::Rtnetlink rtnetlink_;
  std::vector<netlink::PreparedRoutes> prepared_;
  netlink::WireGuard wireguard_;
  netlink::Conntrack conntrack_;
  std::unique_ptr<nft::Nft> nft_;
  std::optional<RouteInterest> interest_;  ///< nullopt: not set yet
  /// As last read: SetTunnelMark names only the tunnel, and the backend comes from here.
  std::map<IfName, Tunnel> tunnels_;
};

}  // namespace wgsteer::kernel
