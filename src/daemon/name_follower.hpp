// SPDX-License-Identifier: GPL-2.0-or-later
// Follows the host names of peers: finds them in our configuration and in other programs' files, asks for their
// addresses as often as their time to live says, and reports changes.
//
// Threading: one thread, that of the loop. Failure: said once in the log; the addresses known last stay.
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

class NameFollower {
 public:
  struct Surroundings {
    /// Told by follow() and publish() when a name has come to something else.
    std::function<void(std::map<PeerId, NamedPeer>)> changed;
    /// Whether an address is this host's: no peer has it.
    std::function<bool(const Address&)> isOwn;
    /// Who is asked when nobody of resolvConf answers.
    std::function<std::vector<WanServers>()> wanServers;
    foreign::HostNameFolders folders;
    std::string resolvConf = "/etc/resolv.conf";
    std::chrono::milliseconds timeout{2000};  ///< as dns::ResolverOptions has it
  };

  static Result<std::unique_ptr<NameFollower>> create(os::EventLoop& loop, os::DirectoryWatches& directories,
                                                      Surroundings surroundings);
  NameFollower(const NameFollower&) = delete;
  NameFollower& operator=(const NameFollower&) = delete;
  ~NameFollower();

  /// Reads the files anew and follows what is in them and in the configuration. Queries leave with `mark`, so that they
  /// go by a physical WAN also while the tunnel that waits for them has the default route.
  void follow(const Config& config, Mark mark);
  /// The way to the servers may be another one: what could not be resolved is tried again.
  void networkChanged(Mark mark);

  /// Tells what names have come to since the last time, if that is something else. To be called when a round of the
  /// loop is over: a thousand answers that come together are planned for together.
  void publish();
  /// To be called now and then: a resolver that could not be opened is tried again.
  void retry();
  /// Names that are still waited for; one that has failed once is not.
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
  bool unpublished_ = false;
  std::map<std::string, std::string> said_;             ///< what was last said of a name: once is enough
  std::set<std::string> saidOfFiles_;                   ///< what is wrong with files at the moment
  std::map<std::string, std::set<std::string>> noted_;  ///< the same of what came with a name's last answer
};

}  // namespace wgsteer
