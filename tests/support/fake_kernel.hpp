// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel in memory: a second implementation of the seam, held to the real one by the suite in tests/contract. What
// others do to it is announced as the kernel would; what we do ourselves is not. Faults can be injected at any write.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "wgsteer/kernel.hpp"

namespace wgsteer::test {

class FakeKernel : public Kernel {
 public:
  /// All there is, foreign and ours. Tests put the world here before the start.
  Picture real;

  Result<Picture> observe(const Numbers& numbers, const ObserveOptions& options = {}) override;
  Status refresh(Picture& picture, const Numbers& numbers, const Stale& stale) override;
  CommitReport commit(const Plan& plan, const Numbers& numbers) override;
  void prepare(const std::vector<std::vector<Change>>& lists) override { prepared = lists; }
  std::vector<Change> commitPrepared(std::size_t index) override;
  Status unstick(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers) override;
  Status setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint) override;
  Status forgetTranslations(const std::map<Endpoint, std::set<Address>>& rightSources) override;
  Status warm(const Neighbour& neighbour) override;
  Status askLinks(const std::vector<IfIndex>& devices, const Sink& sink) override;
  Result<HandshakesByWan> handshakes() override { return HandshakesByWan{}; }
  Status listen(const RouteInterest& interest) override;
  Status subscribe() override;
  std::vector<int> descriptors() const override { return {}; }
  void drain(const Sink& sink) override;

  // What others do: the change, and its announcement.
  void linkGoesDown(const IfName& name);
  void linkComesUp(const IfName& name);
  void carrier(const IfName& name, bool on);
  /// As when linkwatch still holds it back.
  void carrierUnannounced(const IfName& name, bool on);
  void addForeignRoute(const Route& route);
  void deleteForeignRoute(const Route& route);
  void someoneDeletesRule(const Rule& rule);
  void someoneFlushesNft();
  /// Nothing is announced, as in the kernel.
  void someoneSetsFwmark(const IfName& tunnel, Mark fwmark);
  void loseEvents();
  void announce(const Event& event);

  /// The n-th write from now on (0: the next) fails.
  void failWrite(std::size_t nth, ErrorKind kind) { fault_ = Fault{nth, kind}; }
  /// After so many writes, no more is done: as if the process had been killed.
  void dieAfter(std::size_t count) { fault_ = Fault{count, std::nullopt}; }
  /// What the kernel refuses, for as long as it does.
  std::function<bool(const Change&)> refuses;
  void heal() {
    fault_.reset();
    dead_ = false;
    refuses = nullptr;
  }

  std::vector<std::vector<Change>> prepared;
  std::size_t writes = 0;
  std::vector<std::pair<IfName, Mark>> unstuck;
  std::vector<std::map<Endpoint, std::set<Address>>> forgotten;  ///< what each call was given
  std::vector<Neighbour> warmed;
  static constexpr std::uint32_t kSomeone = 4711;  ///< netlink port of the others

 private:
  struct Fault {
    std::size_t after = 0;
    std::optional<ErrorKind> kind;  ///< none: dead from here on
  };
  Status attempt(const Change& change, const Numbers& numbers);
  Status make(const Change& change, const Numbers& numbers);
  Status conflict(const Change& change) const;
  Link& linkNamed(const IfName& name);

  bool subscribed_ = false;
  bool dead_ = false;
  std::vector<Event> queue_;
  std::optional<Fault> fault_;
};

}  // namespace wgsteer::test
