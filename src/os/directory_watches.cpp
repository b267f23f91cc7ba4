// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/directory_watches.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <optional>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wgsteer/core/fnv.hpp"

namespace wgsteer::os {

namespace {

constexpr std::uint32_t kEvents =
    IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
/// A program that writes endlessly gets no more of the daemon's time than this per round.
constexpr int kMaxReads = 16;

using Look = std::uint64_t;

/// Almost certainly changes whenever inotify would have reported something; 0 for a missing directory, nullopt if that
/// cannot be told.
std::optional<Look> lookAt(const std::string& directory) {
  const auto close = [](DIR* opened) { closedir(opened); };
  const std::unique_ptr<DIR, decltype(close)> opened{opendir(directory.c_str()), close};
  if (!opened) return errno == ENOENT || errno == ENOTDIR ? std::optional<Look>{0} : std::nullopt;
  Look sum = 1;
  while (const dirent* entry = readdir(opened.get())) {
    struct stat about{};
    const std::string_view name{entry->d_name};
    if (name == "." || name == ".." || fstatat(dirfd(opened.get()), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    const std::array<std::int64_t, 4> facts{static_cast<std::int64_t>(about.st_ino), about.st_size,
                                            about.st_mtim.tv_sec, about.st_mtim.tv_nsec};
    Fnv one;
    one.add(name);
    one.add({reinterpret_cast<const char*>(facts.data()), sizeof facts});
    sum += one.value();  // in whatever order they are listed
  }
  return sum;
}

}  // namespace

struct DirectoryWatches::Watch::State {
  std::string directory;
  Handler handler;
  int number = -1;  ///< the kernel's watch descriptor; negative: none
  std::optional<Look> look{};
  bool ended = false;
};

DirectoryWatches::Watch& DirectoryWatches::Watch::operator=(Watch&& other) noexcept {
  if (this == &other) return *this;
  end();
  state_ = std::move(other.state_);
  return *this;
}

void DirectoryWatches::Watch::end() {
  // A handler that is running holds the rest.
  if (state_) state_->ended = true;
  state_.reset();
}

bool DirectoryWatches::Watch::isWatched() const { return state_ && state_->number >= 0; }

DirectoryWatches::~DirectoryWatches() {
  if (inotify_) loop_.unwatch(inotify_.get());
}

bool DirectoryWatches::open() {
  Fd opened{inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  if (!opened) {
    trouble_ = std::string{"inotify: "} + std::strerror(errno);
    return false;
  }
  if (const Status watched = loop_.watch(opened.get(), [this] { onReadable(); }); !watched) {
    trouble_ = "inotify: " + watched.error().what;
    return false;
  }
  trouble_.clear();
  inotify_ = std::move(opened);
  return true;
}

bool DirectoryWatches::attach(State& state) {
  if (!inotify_) return false;
  // Watching the same directory again returns the same number.
  state.number = inotify_add_watch(inotify_.get(), state.directory.c_str(), kEvents);
  if (state.number >= 0) numbers_.insert(state.number);
  return state.number >= 0;
}

DirectoryWatches::Watch DirectoryWatches::add(std::string directory, Handler handler) {
  auto state = std::make_shared<State>(std::move(directory), std::move(handler));
  if (!attach(*state)) state->look = lookAt(state->directory);
  states_.push_back(state);
  return Watch{std::move(state)};
}

DirectoryWatches::States DirectoryWatches::living() {
  States alive;
  std::erase_if(states_, [&](const std::weak_ptr<State>& known) {
    auto state = known.lock();
    if (!state || state->ended) return true;
    alive.push_back(std::move(state));
    return false;
  });
  return alive;
}

void DirectoryWatches::tell(const News& news) {
  for (const auto& [state, names] : news)
    if (!state->ended && !names.empty()) state->handler(names);
}

void DirectoryWatches::renew() {
  if (!inotify_) open();
  forgetUnused();
  looks_ = !looks_;
  News news;
  for (const auto& state : living()) {
    if (state->number >= 0) continue;
    if (attach(*state)) {
      news.push_back({state, {""}});
    } else if (const auto look = looks_ ? lookAt(state->directory) : std::nullopt; look && look != state->look) {
      state->look = look;
      news.push_back({state, {""}});
    }
  }
  tell(news);
}

void DirectoryWatches::forgetUnused() {
  std::set<int> used;
  for (const auto& state : living()) used.insert(state->number);
  for (const int number : std::exchange(numbers_, {}))
    if (used.contains(number))
      numbers_.insert(number);
    else
      inotify_rm_watch(inotify_.get(), number);
}

void DirectoryWatches::onReadable() {
  alignas(inotify_event) std::array<char, 4096> events{};
  News news;
  for (auto& state : living()) news.push_back({std::move(state), {}});
  for (int i = 0; i < kMaxReads; ++i) {
    const ssize_t size = read(inotify_.get(), events.data(), events.size());
    if (size <= 0) break;
    collect({events.data(), static_cast<std::size_t>(size)}, news);
  }
  tell(news);
}

void DirectoryWatches::collect(std::string_view events, News& news) {
  while (events.size() >= sizeof(inotify_event)) {
    inotify_event event{};
    std::memcpy(&event, events.data(), sizeof event);
    // The name is padded with zeros, and empty for the directory itself.
    const std::string name = event.len == 0 ? "" : std::string{events.data() + sizeof event};
    events.remove_prefix(std::min(events.size(), sizeof event + event.len));
    const bool gone = (event.mask & IN_IGNORED) != 0;
    if (gone) numbers_.erase(event.wd);
    // A directory that was renamed is no longer the one that was meant.
    if ((event.mask & IN_MOVE_SELF) != 0) inotify_rm_watch(inotify_.get(), event.wd);
    for (auto& [state, names] : news) {
      if (event.wd >= 0 && state->number != event.wd) continue;  // negative: events were lost, possibly of all
      if (gone) state->number = -1;
      names.insert(name);  // for one that is gone: none
    }
  }
}

}  // namespace wgsteer::os
