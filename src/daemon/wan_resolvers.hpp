// SPDX-License-Identifier: GPL-2.0-or-later
// The name servers of the WANs themselves, used when those of /etc/resolv.conf do not answer: each is queried through
// its own WAN, the preferred WAN first.
//
// Threading: one thread, that of the loop. Failure: reported to the caller, together with that of the first server.
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

/// A WAN by which queries can leave, and its name servers.
struct WanServers {
  std::string wan;
  IfName device;
  Mark mark;
  std::vector<Address> servers;
  bool operator==(const WanServers&) const = default;
};

/// The eligible WANs with known name servers of an eligible family, by metric: those of the `dns` option, else those
/// that other programs have recorded for the link.
std::vector<WanServers> serversOfWans(const Config& config, const Steering& steering,
                                      const foreign::LinkServerFiles& files = {});

/// The mark for queries to all other servers: that of the first tunnel, so that they leave by a physical WAN; without a
/// tunnel, none.
Mark queryMark(const Config& config, const Steering& steering);

/// Whether an address is one of this host's.
bool isOwn(const World& world, const Address& address);

class WanResolvers {
 public:
  struct Surroundings {
    std::function<std::vector<WanServers>()> servers;
    std::function<bool(const Address&)> isOwn;  ///< as in dns::ResolverOptions
    std::chrono::milliseconds timeout{2000};    ///< likewise
  };

  WanResolvers(os::EventLoop& loop, Surroundings surroundings) : loop_(loop), surroundings_(std::move(surroundings)) {}
  WanResolvers(const WanResolvers&) = delete;
  WanResolvers& operator=(const WanResolvers&) = delete;
  ~WanResolvers();  ///< no callbacks are called afterwards

  /// Whether these servers may know better, because another one gave no answer or no usable one.
  static bool mayKnowBetter(const dns::ResolveResult& result) {
    return !result && !dns::isCertain(result.error().kind);
  }
  /// Queries the servers of one WAN after the other until there is an answer. `first`: why there has been none so far.
  /// Calls back at once if there is no server to query. The callback may call resolve() again.
  void resolve(const std::string& name, dns::ResolveError first, dns::Resolver::Callback callback);

 private:
  struct Line {
    WanServers via;
    dns::Resolver resolver;
    unsigned users = 0;  ///< pending queries that use it now or may use it later
  };
  struct Question {
    std::string name;
    dns::ResolveError failure;
    dns::Resolver::Callback callback;
    std::vector<Line*> lines;
    std::size_t at = 0;
  };

  void renew();
  void open(const WanServers& via, std::vector<std::unique_ptr<Line>>& to);
  Result<std::unique_ptr<Line>> openLine(const WanServers& via);
  void askNext(const std::shared_ptr<Question>& question);
  static void finish(const Question& question, const dns::ResolveResult& result);

  os::EventLoop& loop_;
  Surroundings surroundings_;
  std::vector<std::unique_ptr<Line>> lines_;    ///< in the order in which they are queried
  std::vector<std::unique_ptr<Line>> retired_;  ///< of WANs that now have other servers, or none
  std::optional<Instant> renewed_;
  std::map<std::string, std::string> said_;  ///< about WANs whose servers cannot be queried: once is enough
};

}  // namespace wgsteer
