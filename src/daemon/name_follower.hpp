// SPDX-License-Identifier: GPL-2.0-or-later
// Follows the host names of peers: finds them in our configuration and in other programs' files, resolves them as often
// as their time to live requires, and reports changes.
//
// Threading: one thread, that of the loop. Failure: logged once; the last known addresses stay.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/refresh.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

#include "daemon/wan_resolvers.hpp"
#include "dns/resolver.hpp"
#include "foreign/host_names.hpp"
#include "os/directory_watches.hpp"
#include "os/event_loop.hpp"
#include "os/timer.hpp"

namespace wgsteer {

/// What has changed among the peers that have a host name.
struct NamesChanged {
  std::map<PeerId, NamedPeer> peers;  ///< new ones, and those with other addresses
  std::set<PeerId> gone;              ///< no longer named
};

class NameFollower {
 public:
  struct Surroundings {
    /// Called by follow() and publish() when the addresses of a name have changed.
    std::function<void(NamesChanged)> changed;
    /// Whether an address belongs to this host: then no peer has it.
    std::function<bool(const Address&)> isOwn;
    /// The servers to query when none in resolvConf answers.
    std::function<std::vector<WanServers>()> wanServers;
    foreign::HostNameFolders folders;
    std::string resolvConf = "/etc/resolv.conf";
    std::chrono::milliseconds timeout{2000};  ///< as in dns::ResolverOptions
  };

  static Result<std::unique_ptr<NameFollower>> create(os::EventLoop& loop, os::DirectoryWatches& directories,
                                                      Surroundings surroundings);
  NameFollower(const NameFollower&) = delete;
  NameFollower& operator=(const NameFollower&) = delete;
  ~NameFollower();

  /// Reads the files again and follows the names in them and in the configuration. Queries carry `mark`, so that they
  /// leave by a physical WAN even while the tunnel that needs the answer has the default route.
  void follow(const Config& config, Mark mark);
  /// The servers may be reached differently now: retries names that could not be resolved.
  void networkChanged(Mark mark);

  /// Reports names whose addresses have changed since the last call. To be called at the end of a round of the loop: a
  /// thousand answers that arrive together cause one plan.
  void publish();
  /// To be called from time to time: retries to open a resolver that could not be opened.
  void retry();
  /// Names that are still unresolved and have not failed yet.
  std::vector<std::string> unanswered() const;

 private:
  struct Target {
    HostPort at;
    std::string file;  ///< empty: our own configuration
  };

  NameFollower(os::EventLoop& loop, os::DirectoryWatches& directories, Surroundings surroundings, os::Timer timer)
      : loop_(loop),
        surroundings_(std::move(surroundings)),
        timer_(std::move(timer)),
        directories_(directories),
        wanResolvers_(
            loop,
            {.servers = surroundings_.wanServers, .isOwn = surroundings_.isOwn, .timeout = surroundings_.timeout}) {}
  void watchResolvConf();
  bool watchSources(const std::set<std::string>& folders);
  Status openResolver(Mark mark);
  foreign::HostNames readFiles();
  void readSources();
  void say(const std::string& subject, const std::string& line);
  void sayNotes(const std::string& host, const std::vector<std::string>& notes);
  void noteResolver(const Status& done);
  void askWhatIsDue();
  void ask(const std::string& host);
  void onAnswer(const std::string& host, const dns::ResolveResult& result);
  void take(FollowedName& name, const std::string& host, const dns::Resolved& answer);
  void noteFailed(FollowedName& name, const std::string& host, const dns::ResolveError& error);
  NamedPeer namedBy(const HostPort& target) const;
  void armTimer();

  os::EventLoop& loop_;
  Surroundings surroundings_;
  os::Timer timer_;
  os::DirectoryWatches& directories_;
  std::map<std::string, os::DirectoryWatches::Watch> sources_;  ///< folders of files that name peers
  os::DirectoryWatches::Watch resolvConf_;
  std::optional<dns::Resolver> resolver_;
  WanResolvers wanResolvers_;
  Mark mark_;
  Config config_;
  std::map<PeerId, Target> targets_;
  std::map<std::string, FollowedName> names_;
  std::map<PeerId, NamedPeer> published_;
  std::set<std::string> changed_;                       ///< names with other addresses than published
  bool renewed_ = false;                                ///< so are the targets, perhaps
  std::map<std::string, std::string> said_;             ///< what was last logged about a name: once is enough
  std::set<std::string> saidOfFiles_;                   ///< what is wrong with files at the moment
  std::map<std::string, std::set<std::string>> noted_;  ///< the same for notes on a name's last answer
};

}  // namespace wgsteer
