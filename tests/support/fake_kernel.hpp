// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel in memory: a second implementation of the seam, compared with the real one by the suite in tests/contract.
// Changes by other programs are announced as in the kernel; our own are not. Faults can be injected at any write.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "wgsteer/kernel.hpp"

namespace wgsteer::test {

class FakeKernel : public Kernel {
 public:
  /// Everything in the kernel, foreign and ours. Tests put the world here before the start.
  Picture real;

  Result<Picture> observe(const Numbers& numbers, const ObserveOptions& options = {}) override;
  Status refresh(Picture& picture, const Numbers& numbers, const Stale& stale) override;
  CommitReport commit(const Plan& plan, const Numbers& numbers) override;
  void prepare(const std::vector<std::vector<Change>>& lists) override { prepared = lists; }
  std::vector<Change> commitPrepared(std::size_t index) override;
  Status clearSources(const Tunnel& tunnel, Mark fwmark, const Numbers& numbers) override;
  Status setEndpoint(const Tunnel& tunnel, const PublicKey& peer, const Endpoint& endpoint) override;
  Status forgetTranslations(const std::map<Endpoint, std::set<Address>>& rightSources) override;
  Status forgetConnections(MarkMatch mark, std::optional<Family> family = {}) override;
  Result<std::size_t> forgetUnanswered(MarkMatch mark, Family family) override;
  Result<std::size_t> forgetTranslatedTo(std::uint32_t mask,
                                         const std::map<Mark, std::set<Address>>& wrongSources) override;
  Result<std::size_t> unmarkConnections(MarkMatch mark, std::uint32_t bits) override;
  Result<Drained> forgetIdle(MarkMatch mark, Family family, IdleWatch& watch, Instant now) override;
  Result<std::map<std::uint32_t, std::size_t>> connectionsByMark(std::uint32_t mask) override;
  Status warm(const Neighbour& neighbour) override;
  Status askLinks(const std::vector<IfIndex>& devices, const Sink& sink) override;
  Result<Counters> counters() override { return Counters{}; }
  Status listen(const RouteInterest& interest) override;
  Status subscribe() override;
  std::vector<int> descriptors() const override { return {}; }
  void drain(const Sink& sink) override;

  // Changes by other programs, with their announcements.
  void linkGoesDown(const IfName& name);
  void linkComesUp(const IfName& name);
  void carrier(const IfName& name, bool on);
  /// As while linkwatch still holds back the announcement.
  void carrierUnannounced(const IfName& name, bool on);
  void addForeignRoute(const Route& route);
  void deleteForeignRoute(const Route& route);
  void someoneDeletesRule(const Rule& rule);
  void someoneFlushesNft();
  /// Announces nothing, as in the kernel.
  void someoneSetsFwmark(const IfName& tunnel, Mark fwmark);
  /// The lifetimes of an address are written: it is preferred until then, or deprecated (nullopt).
  void writeLifetimes(const OwnAddress& own, std::optional<Preferred> preferred);
  void loseEvents();
  void announce(const Event& event);

  /// The n-th write from now on (0: the next) fails.
  void failWrite(std::size_t nth, ErrorKind kind) { fault_ = Fault{nth, kind}; }
  /// After this many writes, nothing more is done, as if the process had been killed.
  void dieAfter(std::size_t count) { fault_ = Fault{count, std::nullopt}; }
  /// Selects the changes that the kernel refuses.
  std::function<bool(const Change&)> refuses;
  void heal() {
    fault_.reset();
    dead_ = false;
    refuses = nullptr;
  }

  /// observe() fails, as without memory.
  bool unreadable = false;

  std::vector<std::vector<Change>> prepared;
  std::size_t writes = 0;
  std::vector<std::pair<IfName, Mark>> cleared;  ///< tunnels whose cached sources were cleared, with their fwmarks
  std::vector<std::map<Endpoint, std::set<Address>>> forgotten;  ///< the arguments of each call
  struct Connection {
    Family family = Family::v4;
    Mark mark;
    std::uint32_t id = 0;  ///< tells them apart for a watch
    bool answered = false;
    std::chrono::seconds expiresIn{600};
    std::optional<Address> translatedTo = {};
  };
  std::vector<Connection> connections;        ///< conntrack's entries
  std::vector<MarkMatch> forgottenMarks;      ///< the arguments of each call
  std::optional<ErrorKind> keepsConnections;  ///< they cannot be deleted
  std::vector<Neighbour> warmed;
  static constexpr std::uint32_t kSomeone = 4711;  ///< netlink port of the other programs

 private:
  struct Fault {
    std::size_t after = 0;
    std::optional<ErrorKind> kind;  ///< none: dead from here on
  };
  Status mayForget(MarkMatch mark);
  Status attempt(const Change& change, const Numbers& numbers);
  void setDeprecated(const SetDeprecated& set);
  Status make(const Change& change, const Numbers& numbers);
  Status conflict(const Change& change, const Numbers& numbers) const;
  Link& linkNamed(const IfName& name);

  bool subscribed_ = false;
  bool dead_ = false;
  std::uint32_t writtenAt_ = 0;
  std::vector<Event> queue_;
  std::optional<Fault> fault_;
};

}  // namespace wgsteer::test
