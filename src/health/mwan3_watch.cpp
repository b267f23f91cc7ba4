// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/mwan3_watch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

namespace wgsteer::health {

namespace {

/// A shell that has truncated a file writes it much sooner; one that was killed in between never does.
constexpr std::chrono::milliseconds kRetry{20};
constexpr unsigned kMaxRetries = 50;

std::vector<std::string> namesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry{folder, error}, end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  return names;
}

/// mwan3's states; it uses an interface that is disconnecting, but not one that is connecting.
Health healthOf(std::string_view word) {
  if (word == "online" || word == "disconnecting") return Health::up;
  if (word == "offline" || word == "connecting") return Health::down;
  return Health::unknown;
}

}  // namespace

Result<std::unique_ptr<Mwan3Watch>> Mwan3Watch::create(os::EventLoop& loop, os::DirectoryWatches& directories,
                                                       std::string base, Changed changed) {
  auto retry = os::Timer::create();
  if (!retry) return std::unexpected(std::move(retry.error()));
  std::unique_ptr<Mwan3Watch> made{
      new Mwan3Watch{loop, directories, std::move(base), std::move(changed), std::move(*retry)}};
  const auto onRetry = [watch = made.get()] {
    watch->retry_.acknowledge();
    watch->refresh();
  };
  if (auto watched = loop.watch(made->retry_.descriptor(), onRetry); !watched) return std::unexpected(watched.error());
  made->watchAll();
  made->states_ = made->read();
  return made;
}

Mwan3Watch::Mwan3Watch(os::EventLoop& loop, os::DirectoryWatches& directories, std::string base, Changed changed,
                       os::Timer retry)
    : loop_(loop),
      directories_(directories),
      base_(std::move(base)),
      changed_(std::make_shared<const Changed>(std::move(changed))),
      retry_(std::move(retry)) {}

Health Mwan3Watch::of(const std::string& interface) const {
  const auto known = states_.find(interface);
  return known == states_.end() ? Health::unknown : known->second;
}

bool Mwan3Watch::watchFolder(const std::string& folder, std::function<bool(const std::string& name)> matters) {
  watches_.push_back(
      directories_.add(folder, [this, matters = std::move(matters)](const Names& names) { onChange(names, matters); }));
  return watches_.back().isWatched();
}

void Mwan3Watch::watchAll() {
  // The old watches end after the new ones exist, so that these report what happens meanwhile.
  const auto before = std::exchange(watches_, {});
  const auto all = [](const std::string&) { return true; };
  // From the top down: what appears meanwhile is seen by the watch on its parent.
  bool watched = watchFolder(
      base_, [](const std::string& name) { return name.empty() || name == "mwan3" || name == "mwan3track"; });
  for (std::filesystem::path folder{base_}; !watched && folder.has_relative_path();) {
    folder = folder.parent_path();
    watched = watchFolder(folder.string(), all);
  }
  watchFolder(base_ + "/mwan3", all);
  watchFolder(base_ + "/mwan3/iface_state", all);
  const std::string track = base_ + "/mwan3track";
  watchFolder(track, all);
  // The other files there are rewritten in every round.
  for (const std::string& interface : namesIn(track))
    watchFolder(track + "/" + interface, [](const std::string& name) { return name.empty() || name == "STATUS"; });
}

void Mwan3Watch::onChange(const Names& names, const std::function<bool(const std::string& name)>& matters) {
  if (std::ranges::any_of(names, matters)) refresh();
}

void Mwan3Watch::refresh() {
  watchAll();
  const States before = std::exchange(states_, read());
  const States now = states_;
  std::set<std::string> names;
  for (const auto& [name, health] : before) names.insert(name);
  for (const auto& [name, health] : now) names.insert(name);
  const auto healthIn = [](const States& states, const std::string& name) {
    const auto known = states.find(name);
    return known == states.end() ? Health::unknown : known->second;
  };
  // From here on this object must not be touched, because the callback may destroy it.
  const std::weak_ptr<const Changed> changed = changed_;
  for (const std::string& name : names) {
    const Health is = healthIn(now, name);
    if (is == healthIn(before, name)) continue;
    if (const auto tell = changed.lock()) (*tell)(name, is);
  }
}

Mwan3Watch::States Mwan3Watch::read() {
  States states;
  empty_ = false;
  const std::string track = base_ + "/mwan3track";
  for (const std::string& interface : namesIn(track))
    if (const auto health = readFile(track + "/" + interface + "/STATUS", interface)) states[interface] = *health;
  const std::string used = base_ + "/mwan3/iface_state";
  for (const std::string& interface : namesIn(used))
    if (const auto health = readFile(used + "/" + interface, interface)) states[interface] = *health;
  if (empty_ && ++retries_ > kMaxRetries) empty_ = false;
  if (empty_)
    retry_.arm(kRetry);
  else
    retries_ = 0;
  return states;
}

std::optional<Health> Mwan3Watch::readFile(const std::string& path, const std::string& interface) {
  // Non-blocking, whatever kind of file is there.
  const os::Fd file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file) return std::nullopt;
  std::array<char, 32> text{};
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size < 0) return std::nullopt;
  std::string_view word{text.data(), static_cast<std::size_t>(size)};
  word = word.substr(0, word.find('\n'));
  if (!word.empty()) return healthOf(word);
  // Truncated and not written yet: keep the previous state until it is.
  empty_ = true;
  return retries_ < kMaxRetries ? of(interface) : Health::unknown;
}

}  // namespace wgsteer::health
