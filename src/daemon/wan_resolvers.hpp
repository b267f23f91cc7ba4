// SPDX-License-Identifier: GPL-2.0-or-later
// The name servers of the WANs themselves, for when those of /etc/resolv.conf do not answer: each is asked through its
// own WAN, the preferred WAN first.
//
// Threading: one thread, that of the loop. Failure: told to who asks, together with that of the first server.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/refresh.hpp"
#include "wgsteer/core/steering.hpp"
#include "wgsteer/core/world.hpp"

#include "dns/resolver.hpp"
#include "foreign/link_servers.hpp"
#include "os/event_loop.hpp"

namespace wgsteer {

/// A WAN that queries can leave by, and who is asked there.
struct WanServers {
  std::string wan;
  IfName device;
  Mark mark;
  std::vector<Address> servers;
  bool operator==(const WanServers&) const = default;
};

/// The eligible WANs that name servers of an eligible family are known of, by metric: its `dns` option, else what other
/// programs say of its link.
std::vector<WanServers> serversOfWans(const Config& config, const Steering& steering,
                                      const foreign::LinkServerFiles& files = {});

/// Queries to anybody else go the way of the first tunnel, so by a physical WAN; without any tunnel, the way of
/// everything.
Mark queryMark(const Config& config, const Steering& steering);

/// Whether an address is one of this host's.
bool isOwn(const World& world, const Address& address);

class WanResolvers {
 public:
  struct Surroundings {
    std::function<std::vector<WanServers>()> servers;
    std::function<bool(const Address&)> isOwn;  ///< as dns::ResolverOptions has it
    std::chrono::milliseconds timeout{2000};    ///< likewise
  };

  WanResolvers(os::EventLoop& loop, Surroundings surroundings) : loop_(loop), surroundings_(std::move(surroundings)) {}
  WanResolvers(const WanResolvers&) = delete;
  WanResolvers& operator=(const WanResolvers&) = delete;
  ~WanResolvers();  ///< calls nobody any more

  /// Whether these servers may know better: another one has said nothing, or nothing that can be used.
  static bool mayKnowBetter(const dns::ResolveResult& result) {
    return !result && result.error().kind >= dns::ResolveFailure::refused;
  }
  /// Asks one WAN's servers after the other's until there is an answer. `first`: why nobody has answered so far. Calls
  /// back at once if there is nobody to ask. The callback may ask again.
  void resolve(const std::string& name, dns::ResolveError first, dns::Resolver::Callback callback);

 private:
  struct Line {
    WanServers way;
    dns::Resolver resolver;
    unsigned users = 0;  ///< questions that have still to come to it, or are with it
  };
  struct Question {
    std::string name;
    dns::ResolveError failure;
    dns::Resolver::Callback callback;
    std::vector<Line*> lines;
    std::size_t at = 0;
  };

  void renew();
  void open(const WanServers& way, std::vector<std::unique_ptr<Line>>& to);
  Result<std::unique_ptr<Line>> openLine(const WanServers& way);
  void askNext(const std::shared_ptr<Question>& question);
  static void finish(const Question& question, const dns::ResolveResult& result);

  os::EventLoop& loop_;
  Surroundings surroundings_;
  std::vector<std::unique_ptr<Line>> lines_;    ///< in the order that they are asked
  std::vector<std::unique_ptr<Line>> retired_;  ///< of WANs that have other servers now, or none
  std::optional<Instant> renewed_;
  std::map<std::string, std::string> said_;  ///< of a WAN whose servers cannot be asked: once is enough
};

}  // namespace wgsteer
