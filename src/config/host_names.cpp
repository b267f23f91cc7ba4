// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/host_names.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>
#include <system_error>

#include "config/file.hpp"
#include "config/netdev.hpp"
#include "config/netifd.hpp"
#include "config/wg_quick.hpp"

namespace wgsteer::config {

namespace {

namespace fs = std::filesystem;

/// The files with that ending, by name.
std::vector<fs::path> filesOf(const std::string& folder, std::string_view ending, std::vector<Error>& errors) {
  std::error_code error;
  fs::directory_iterator entry{folder, error};
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) return {};
  std::vector<fs::path> files;
  for (; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
    if (entry->path().extension() != ending) continue;
    if (files.size() == kMaxHostNameFiles) {
      errors.push_back({ErrorKind::config, 0, folder + ": has more than 1024 files, the rest is not read", {}});
      break;
    }
    files.push_back(entry->path());
  }
  if (error) errors.push_back({ErrorKind::io, error.value(), folder + ": cannot be read: " + error.message(), {}});
  std::ranges::sort(files);
  return files;
}

using Read = std::function<std::vector<PeerEndpoint>(std::string_view text, Problems& problems)>;

void readInto(HostNames& all, const fs::path& path, const Read& read) {
  auto text = readFile(path);
  if (!text) {
    all.errors.push_back(std::move(text.error()));
    return;
  }
  Problems problems;
  std::vector<PeerEndpoint> peers = read(*text, problems);
  wipe(*text);
  for (PeerEndpoint& peer : peers) {
    peer.file = path;
    all.peers.push_back(std::move(peer));
  }
  if (!problems.empty()) all.errors.push_back({ErrorKind::config, 0, problems.toString(path), {}});
}

std::vector<PeerEndpoint> readNetifd(std::string_view text, Problems& problems) {
  return endpointsOf(readNetwork(text, problems), problems);
}

/// systemd's way to switch off a file of the distribution: a link to /dev/null.
bool isMasked(const fs::path& path) {
  std::error_code ignored;
  return fs::is_character_file(path, ignored);
}

}  // namespace

HostNames readHostNames(const HostNameFolders& folders) {
  HostNames all;
  for (const fs::path& path : filesOf(folders.wgQuick, ".conf", all.errors)) {
    const std::string tunnel = path.stem();
    if (isWgQuickName(tunnel))
      readInto(all, path, [&](auto text, auto& problems) { return readWgQuick(text, tunnel, problems); });
  }
  std::set<std::string> seen;
  for (const std::string& folder : folders.networkd)
    for (const fs::path& path : filesOf(folder, ".netdev", all.errors))
      if (seen.insert(path.filename()).second && !isMasked(path)) readInto(all, path, readNetdev);
  std::error_code ignored;
  if (fs::exists(folders.netifd, ignored) || ignored) readInto(all, folders.netifd, readNetifd);
  return all;
}

}  // namespace wgsteer::config
