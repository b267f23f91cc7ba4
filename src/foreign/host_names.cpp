// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/host_names.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "foreign/netdev.hpp"
#include "foreign/netifd.hpp"
#include "foreign/nm_profiles.hpp"
#include "foreign/wg_quick.hpp"
#include "os/read_file.hpp"

namespace wgsteer::foreign {

namespace {

namespace fs = std::filesystem;

/// systemd's way to mask a file of a later folder: an empty file, or a link to /dev/null.
bool isMasked(const fs::path& path) {
  std::error_code ignored;
  return fs::is_character_file(path, ignored) || (fs::is_regular_file(path, ignored) && fs::is_empty(path, ignored));
}

class Collector {
 public:
  explicit Collector(const HostNameFolders& folders) : folders_(folders) {}
  HostNames run();

 private:
  /// The files with that ending, sorted by name.
  std::map<std::string, fs::path> filesOf(const std::string& folder, std::string_view ending);
  /// The same for several folders: of two files with the same name the first counts.
  std::map<std::string, fs::path> filesOf(const std::vector<std::string>& folders, std::string_view ending);
  void noteLink(const fs::path& path);
  /// nullopt, and an error is recorded, if it cannot be read.
  std::optional<std::string> textOf(const fs::path& path);
  void complain(const std::string& file, Error error) { all_.errors.push_back({std::move(error), file}); }
  void complain(const std::string& file, const config::Problems& problems);
  void take(std::vector<PeerEndpoint> peers, const fs::path& file);

  void wgQuick(const std::string& folder);
  void networkd();
  void device(const std::string& name, const fs::path& path);
  void networkManager();
  void netifd();

  const HostNameFolders& folders_;
  HostNames all_;
  std::map<IfName, std::string> devices_;  ///< networkd's devices, with their files
};

std::map<std::string, fs::path> Collector::filesOf(const std::string& folder, std::string_view ending) {
  std::error_code error;
  fs::directory_iterator entry{folder, error};
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) return {};
  all_.folders.insert(folder);
  std::map<std::string, fs::path> files;
  for (; !error && entry != fs::directory_iterator{}; entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.starts_with('.') || !name.ends_with(ending)) continue;
    if (files.size() == kMaxHostNameFiles) {
      complain(folder, {ErrorKind::config, 0, folder + ": has more than 1024 files; the rest is ignored", {}});
      break;
    }
    noteLink(entry->path());
    files.emplace(name, entry->path());
  }
  if (error) complain(folder, {ErrorKind::io, error.value(), folder + ": cannot be read: " + error.message(), {}});
  return files;
}

std::map<std::string, fs::path> Collector::filesOf(const std::vector<std::string>& folders, std::string_view ending) {
  std::map<std::string, fs::path> files;
  for (const std::string& folder : folders) files.merge(filesOf(folder, ending));
  return files;
}

/// The target of a link, even a missing one, changes in its own folder.
void Collector::noteLink(const fs::path& path) {
  constexpr int kMaxLinks = 8;
  std::error_code error;
  fs::path at = path;
  for (int i = 0; i < kMaxLinks && fs::is_symlink(at, error); ++i) {
    at = at.parent_path() / fs::read_symlink(at, error);
    if (error || at == "/dev/null") return;
    all_.folders.insert(fs::weakly_canonical(at.parent_path(), error));
  }
}

std::optional<std::string> Collector::textOf(const fs::path& path) {
  auto text = os::readFile(path);
  if (text) return std::move(*text);
  complain(path, std::move(text.error()));
  return std::nullopt;
}

void Collector::complain(const std::string& file, const config::Problems& problems) {
  if (!problems.empty()) complain(file, {ErrorKind::config, 0, problems.toString(file), {}});
}

void Collector::take(std::vector<PeerEndpoint> peers, const fs::path& file) {
  for (PeerEndpoint& peer : peers) {
    peer.file = file;
    all_.peers.push_back(std::move(peer));
  }
}

void Collector::wgQuick(const std::string& folder) {
  for (const auto& [name, path] : filesOf(folder, ".conf")) {
    const std::string tunnel = path.stem();
    if (!isWgQuickName(tunnel)) continue;
    auto text = textOf(path);
    if (!text) continue;
    config::Problems problems;
    take(readWgQuick(*text, tunnel, problems), path);
    os::wipe(*text);
    complain(path, problems);
  }
}

void Collector::networkd() {
  for (const auto& [name, path] : filesOf(folders_.networkd, ".netdev"))
    if (!isMasked(path)) device(name, path);
}

void Collector::device(const std::string& name, const fs::path& path) {
  std::vector<std::string> dropInFolders;
  for (const std::string& folder : folders_.networkd) dropInFolders.push_back(fs::path{folder} / (name + ".d"));
  std::vector<fs::path> files{path};
  for (const auto& [dropIn, dropInPath] : filesOf(dropInFolders, ".conf"))
    if (!isMasked(dropInPath)) files.push_back(dropInPath);

  NetdevReader reader;
  bool whole = true;
  for (const fs::path& file : files) {
    // Then it is unknown which device a drop-in belongs to; its previous content stays.
    if (!whole) complain(file, {ErrorKind::config, 0, file.string() + ": ignored, as there is no " + name, {}});
    auto text = whole ? textOf(file) : std::nullopt;
    whole = whole && (text || file != path);
    if (!text) continue;
    reader.add(*text, file);
    os::wipe(*text);
  }
  Netdev found = reader.finish();
  for (const auto& [file, problems] : found.problems) complain(file, problems);
  if (found.name.empty()) return;
  if (const auto [known, fresh] = devices_.emplace(found.name, path); !fresh) {
    complain({}, {ErrorKind::config,
                  0,
                  found.name + " is in " + known->second + " and again in " + path.string() +
                      ": only the first is used, as by networkd",
                  {}});
    return;
  }
  std::ranges::move(found.peers, std::back_inserter(all_.peers));
}

void Collector::networkManager() {
  NmProfiles profiles;
  for (const std::string& folder : folders_.networkManager) {
    profiles.beginFolder();
    for (const auto& [name, path] : filesOf(folder, kNmTombstone)) profiles.addTombstone(path);
    for (const auto& [name, path] : filesOf(folder, {})) {
      if (!isNmProfile(path)) continue;
      auto text = textOf(path);
      if (!text) continue;
      config::Problems problems;
      profiles.add(path, readNmProfile(*text, problems));
      os::wipe(*text);
      complain(path, problems);
    }
  }
  profiles.finish(all_.peers, all_.errors);
}

void Collector::netifd() {
  for (const std::string& file : folders_.netifd) all_.folders.insert(fs::path{file}.parent_path());
  const fs::path path = config::firstThere(folders_.netifd);
  std::error_code error;
  if (path.empty() || (!fs::exists(path, error) && !error)) return;
  noteLink(path);
  auto text = textOf(path);
  if (!text) return;
  config::Problems problems;
  take(endpointsOf(readNetwork(*text, problems), problems), path);
  os::wipe(*text);
  complain(path, problems);
}

HostNames Collector::run() {
  for (const auto* folders : {&folders_.wgQuick, &folders_.networkd, &folders_.networkManager})
    all_.folders.insert(folders->begin(), folders->end());
  for (const std::string& folder : folders_.wgQuick) wgQuick(folder);
  networkd();
  networkManager();
  netifd();
  return std::move(all_);
}

}  // namespace

HostNames readHostNames(const HostNameFolders& folders) { return Collector{folders}.run(); }

}  // namespace wgsteer::foreign
