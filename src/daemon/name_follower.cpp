// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/name_follower.hpp"

#include <algorithm>
#include <utility>

#include "log/log.hpp"
#include "os/random.hpp"
#include "os/replace_file.hpp"

namespace wgsteer {

namespace {

std::string joined(const std::vector<Address>& addresses) {
  std::string text;
  for (const Address& address : addresses) text += (text.empty() ? "" : ", ") + address.toString();
  return text;
}

}  // namespace

Result<std::unique_ptr<NameFollower>> NameFollower::create(os::EventLoop& loop, os::DirectoryWatches& directories,
                                                           Surroundings surroundings) {
  auto timer = os::Timer::create();
  if (!timer) return std::unexpected(timer.error());
  std::unique_ptr<NameFollower> made{new NameFollower{loop, directories, std::move(surroundings), std::move(*timer)}};
  const auto onTimer = [follower = made.get()] {
    follower->timer_.acknowledge();
    follower->askWhatIsDue();
  };
  if (auto watched = loop.watch(made->timer_.descriptor(), onTimer); !watched) return std::unexpected(watched.error());
  made->watchResolvConf();
  return made;
}

NameFollower::~NameFollower() {
  loop_.unwatch(timer_.descriptor());
  if (resolver_) loop_.unwatch(resolver_->descriptor());
}

void NameFollower::watchResolvConf() {
  resolvConf_ =
      directories_.add(os::folderOf(surroundings_.resolvConf), [this](const auto&) { networkChanged(mark_); });
}

Status NameFollower::openResolver(Mark mark) {
  if (resolver_ && mark == mark_) return {};
  auto opened = dns::Resolver::create({.resolvConf = surroundings_.resolvConf,
                                       .servers = {},
                                       .mark = mark,
                                       .device = {},
                                       .isOwn = surroundings_.isOwn,
                                       .timeout = surroundings_.timeout});
  if (!opened) return std::unexpected(opened.error());
  if (resolver_) loop_.unwatch(resolver_->descriptor());
  resolver_ = std::move(*opened);
  mark_ = mark;
  // Queries of the previous resolver will not be answered any more.
  for (auto& [host, name] : names_) name.asking = false;
  auto watched = loop_.watch(resolver_->descriptor(), [this] {
    resolver_->process();
    askWhatIsDue();
  });
  if (!watched) resolver_.reset();
  return watched;
}

void NameFollower::noteResolver(const Status& done) {
  if (!done) return say("resolver", "host names: " + done.error().toString());
  if (resolver_ && !resolver_->trouble().empty()) return say("resolver", "host names: " + resolver_->trouble());
  said_.erase("resolver");
}

void NameFollower::retry() {
  if (resolver_) return;
  noteResolver(openResolver(mark_));
  askWhatIsDue();
}

void NameFollower::follow(const Config& config, Mark mark) {
  config_ = config;
  noteResolver(openResolver(mark));
  readSources();
  askWhatIsDue();
  renewed_ = true;
  publish();
}

/// Watches these folders from now on. True if one of them was not watched before: it may have changed in between.
bool NameFollower::watchSources(const std::set<std::string>& folders) {
  std::erase_if(sources_, [&](const auto& known) { return !folders.contains(known.first); });
  bool more = false;
  for (const std::string& folder : folders) {
    if (sources_.contains(folder)) continue;
    sources_.emplace(folder, directories_.add(folder, [this](const auto&) { follow(Config{config_}, mark_); }));
    more = true;
  }
  return more;
}

/// Files that change while they are read are read again: a folder is watched before its files are used.
foreign::HostNames NameFollower::readFiles() {
  constexpr int kAttempts = 3;  // a folder, its drop-ins, what their links stand for
  foreign::HostNames found;
  for (int i = 0; i < kAttempts; ++i) {
    found = foreign::readHostNames(surroundings_.folders);
    if (!watchSources(found.folders)) break;
  }
  return found;
}

/// Our own configuration takes precedence. An error in a file is logged once, and its previous content counts until it
/// is corrected.
void NameFollower::readSources() {
  const auto before = std::exchange(targets_, {});
  const foreign::HostNames found = readFiles();
  const auto saidBefore = std::exchange(saidOfFiles_, {});
  for (const foreign::FileError& error : found.errors) {
    if (saidOfFiles_.insert(error.toString()).second && !saidBefore.contains(error.toString()))
      log::warn(error.toString());
    for (const auto& [peer, target] : before)
      if (!target.file.empty() && error.file == target.file) targets_.emplace(peer, target);
  }
  for (const foreign::PeerEndpoint& peer : found.peers)
    if (!peer.numeric)
      targets_.insert_or_assign(PeerId{peer.tunnel, peer.peer}, Target{{peer.host, peer.port}, peer.file});
  for (const PeerConfig& peer : config_.peers)
    if (peer.endpoint) targets_.insert_or_assign(PeerId{peer.tunnel, peer.publicKey}, Target{*peer.endpoint, {}});
  std::set<std::string> wanted;
  for (const auto& [peer, target] : targets_)
    if (const std::string* name = target.at.name()) wanted.insert(*name);
  const auto unwanted = [&](const auto& known) { return !wanted.contains(known.first); };
  std::erase_if(names_, unwanted);
  std::erase_if(noted_, unwanted);
  for (const std::string& host : wanted) names_.try_emplace(host);
}

void NameFollower::networkChanged(Mark mark) {
  const Status opened = openResolver(mark);
  if (!resolver_ || names_.empty()) return noteResolver(opened);
  noteResolver(resolver_->reload());
  for (auto& [host, name] : names_)
    if (name.failures > 0) askSoon(name, os::monotonicNow());
  askWhatIsDue();
}

void NameFollower::askWhatIsDue() {
  const auto now = os::monotonicNow();
  for (auto& [host, name] : names_) {
    if (!takeLeft(name, now).empty()) changed_.insert(host);
    if (!resolver_ || !name.due(now)) continue;
    noteAsked(name, now);
    ask(host);
  }
  armTimer();
}

void NameFollower::ask(const std::string& host) {
  resolver_->resolve(host, dns::Families::both, [this, host](const dns::ResolveResult& result) {
    if (!WanResolvers::mayKnowBetter(result)) return onAnswer(host, result);
    wanResolvers_.resolve(host, result.error(), [this, host](const dns::ResolveResult& last) {
      onAnswer(host, last);
      // On a socket of its own: askWhatIsDue() has left out what was still being asked.
      armTimer();
    });
  });
}

void NameFollower::onAnswer(const std::string& host, const dns::ResolveResult& result) {
  const auto known = names_.find(host);
  if (known == names_.end()) return;  // no longer needed
  if (result)
    take(known->second, host, *result);
  else
    noteFailed(known->second, host, result.error());
}

void NameFollower::noteFailed(FollowedName& name, const std::string& host, const dns::ResolveError& error) {
  noteFailure(name, os::monotonicNow(), os::randomNumber());
  const auto current = name.current();
  say(host, host + ": " + error.what + (current.empty() ? "" : "; keeping " + joined(current)));
}

void NameFollower::take(FollowedName& name, const std::string& host, const dns::Resolved& answer) {
  said_.erase(host);
  sayNotes(host, answer.notes);
  const AddressChanges changes = noteAnswer(name, answer.name, os::monotonicNow(), os::randomNumber());
  if (!changes.added.empty() || !changes.removed.empty()) log::info(host + " is " + joined(name.current()));
  changed_.insert(host);
}

NamedPeer NameFollower::namedBy(const HostPort& target) const {
  NamedPeer named{.host = target.hostText(), .port = target.port, .current = {}, .leaving = {}};
  if (const Address* numeric = target.address())
    named.current.push_back(*numeric);
  else
    for (const auto& [address, leaves] : names_.at(named.host).addresses)
      (leaves ? named.leaving : named.current).push_back(address);
  return named;
}

/// Of many names, few change at a time.
void NameFollower::publish() {
  const bool all = std::exchange(renewed_, false);
  const std::set<std::string> hosts = std::exchange(changed_, {});
  if (!all && hosts.empty()) return;
  NamesChanged news;
  for (const auto& [peer, target] : targets_) {
    const std::string* host = target.at.name();
    if (!all && (host == nullptr || !hosts.contains(*host))) continue;
    NamedPeer named = namedBy(target.at);
    NamedPeer& known = published_[peer];
    if (known == named) continue;
    known = named;
    news.peers.emplace(peer, std::move(named));
  }
  if (all)
    std::erase_if(published_, [&](const auto& known) {
      const bool gone = !targets_.contains(known.first);
      if (gone) news.gone.insert(known.first);
      return gone;
    });
  if (!news.peers.empty() || !news.gone.empty()) surroundings_.changed(std::move(news));
}

std::vector<std::string> NameFollower::unanswered() const {
  std::vector<std::string> hosts;
  for (const auto& [host, name] : names_)
    if (name.asking && name.failures == 0 && name.addresses.empty()) hosts.push_back(host);
  return hosts;
}

void NameFollower::armTimer() {
  std::optional<Instant> next;
  for (const auto& [host, name] : names_)
    if (const auto wake = name.wake(); wake && (!next || *wake < *next)) next = wake;
  if (next)
    timer_.arm(std::max<Duration>(*next - os::monotonicNow(), std::chrono::milliseconds{1}));
  else
    timer_.disarm();
}

/// A refused family is queried again and again: only new notes are logged.
void NameFollower::sayNotes(const std::string& host, const std::vector<std::string>& notes) {
  const std::set<std::string> before = std::exchange(noted_[host], {notes.begin(), notes.end()});
  for (const std::string& note : noted_[host])
    if (!before.contains(note)) log::warn(host + ": " + note);
}

void NameFollower::say(const std::string& subject, const std::string& line) {
  std::string& last = said_[subject];
  if (last == line) return;
  last = line;
  log::warn(line);
}

}  // namespace wgsteer
