// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/nm_profiles.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>

namespace wgsteer::foreign {

namespace {

constexpr std::string_view kEnding = ".nmconnection";

bool isAsciiAlnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// "NAME.a1B2c3", as mkstemp(3) makes them.
bool isTemporary(std::string_view name) {
  constexpr std::size_t kRandom = 6;
  return name.size() > kRandom + 1 && name[name.size() - kRandom - 1] == '.' &&
         std::ranges::all_of(name.substr(name.size() - kRandom), isAsciiAlnum);
}

bool isSame(const PeerEndpoint& left, const PeerEndpoint& right) {
  return left.host == right.host && left.port == right.port;
}

}  // namespace

bool isNmProfile(const std::filesystem::path& path) {
  const std::string name = path.filename();
  if (name.ends_with(kEnding)) return name.size() > kEnding.size();
  const std::string folder = path.parent_path();
  // These folders are written by NetworkManager itself or by the distribution, and there the ending is required.
  if (folder.starts_with("/run/") || folder.starts_with("/usr/")) return false;
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && !name.ends_with('~') && !isTemporary(name) &&
         !path.has_extension();
}

void NmProfiles::beginFolder() { endFolder(); }

void NmProfiles::addTombstone(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::read_symlink(path, error) == "/dev/null" && !error) decided_.insert(path.stem());
}

void NmProfiles::add(const std::filesystem::path& path, NmProfile profile) {
  if (profile.uuid.empty()) profile.uuid = path.filename();
  for (PeerEndpoint& peer : profile.peers) peer.file = path;
  std::error_code ignored;
  ofThisFolder_.push_back({path, std::filesystem::last_write_time(path, ignored), std::move(profile)});
}

void NmProfiles::endFolder() {
  std::ranges::stable_sort(ofThisFolder_, std::ranges::greater{}, &Candidate::written);
  for (Candidate& each : ofThisFolder_)
    if (decided_.insert(each.profile.uuid).second) std::ranges::move(each.profile.peers, std::back_inserter(peers_));
  ofThisFolder_.clear();
}

void NmProfiles::finish(std::vector<PeerEndpoint>& peers, std::vector<FileError>& errors) {
  endFolder();
  std::map<std::pair<IfName, PublicKey>, const PeerEndpoint*> known;
  std::set<std::pair<IfName, PublicKey>> disputed;
  for (const PeerEndpoint& peer : peers_) {
    const auto [first, fresh] = known.emplace(std::pair{peer.tunnel, peer.peer}, &peer);
    if (fresh || isSame(*first->second, peer) || !disputed.insert(first->first).second) continue;
    errors.push_back({{ErrorKind::config,
                       0,
                       "NetworkManager has two profiles of " + peer.tunnel + " with different endpoints of one peer, " +
                           first->second->file + " and " + peer.file + ": both are ignored",
                       {}},
                      {}});
  }
  for (PeerEndpoint& peer : peers_)
    if (!disputed.contains({peer.tunnel, peer.peer})) peers.push_back(std::move(peer));
}

}  // namespace wgsteer::foreign
