// SPDX-License-Identifier: GPL-2.0-or-later
// Which of NetworkManager's profiles count, when there are several of the same UUID or for the same tunnel.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "foreign/file_error.hpp"
#include "foreign/nm_profile.hpp"

namespace wgsteer::foreign {

/// A file of that ending whose name is a UUID, a link to /dev/null, hides the profile.
inline constexpr const char* kNmTombstone = ".nmmeta";

/// NetworkManager takes files under /etc that have no ending at all, as older versions wrote them, but neither backups
/// nor certificates.
bool isNmProfile(const std::filesystem::path& path);

/// To be filled folder by folder, in NetworkManager's order.
class NmProfiles {
 public:
  void beginFolder();
  void addTombstone(const std::filesystem::path& path);
  void add(const std::filesystem::path& path, NmProfile profile);
  /// Of two profiles that say different things of one peer of one tunnel nobody can tell which one is active: neither
  /// counts, and an error says so.
  void finish(std::vector<PeerEndpoint>& peers, std::vector<FileError>& errors);

 private:
  struct Candidate {
    std::filesystem::path path;
    std::filesystem::file_time_type written;
    NmProfile profile;
  };
  void endFolder();

  std::set<std::string> decided_;        ///< UUIDs: by an earlier folder or by a tombstone
  std::vector<Candidate> ofThisFolder_;  ///< of the same UUID, what was written last counts
  std::vector<PeerEndpoint> peers_;
};

}  // namespace wgsteer::foreign
