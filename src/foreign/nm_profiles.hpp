// SPDX-License-Identifier: GPL-2.0-or-later
// Which of NetworkManager's profiles count if several have the same UUID or tunnel.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "foreign/file_error.hpp"
#include "foreign/nm_profile.hpp"

namespace wgsteer::foreign {

/// A link to /dev/null with this ending, named by a UUID, hides the profile.
inline constexpr const char* kNmTombstone = ".nmmeta";

/// NetworkManager accepts files under /etc without any ending, as written by older versions, but not backups or
/// certificates.
bool isNmProfile(const std::filesystem::path& path);

/// To be filled folder by folder, in NetworkManager's order.
class NmProfiles {
 public:
  void beginFolder();
  void addTombstone(const std::filesystem::path& path);
  void add(const std::filesystem::path& path, NmProfile profile);
  /// If two profiles contradict each other about a peer of a tunnel, it is unknown which one is active: neither counts,
  /// and an error says so.
  void finish(std::vector<PeerEndpoint>& peers, std::vector<FileError>& errors);

 private:
  struct Candidate {
    std::filesystem::path path;
    std::filesystem::file_time_type written;
    NmProfile profile;
  };
  void endFolder();

  std::set<std::string> decided_;        ///< UUIDs decided by an earlier folder or a tombstone
  std::vector<Candidate> ofThisFolder_;  ///< of those with the same UUID, the newest counts
  std::vector<PeerEndpoint> peers_;
};

}  // namespace wgsteer::foreign
