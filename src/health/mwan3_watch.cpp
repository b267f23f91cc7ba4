// SPDX-License-Identifier: GPL-2.0-or-later
#include "health/mwan3_watch.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/epoll.h>
#include <utility>
#include <vector>

namespace wgsteer::health {

namespace {

/// A shell that has truncated a file writes it within far less; one that was killed in between never does.
constexpr std::chrono::milliseconds kRetry{20};
constexpr unsigned kMaxRetries = 50;

std::vector<std::string> namesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry{folder, error}, end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  return names;
}

/// mwan3's words; it routes by an interface that is disconnecting, and does not by one that is connecting.
Health healthOf(std::string_view word) {
  if (word == "online" || word == "disconnecting") return Health::up;
  if (word == "offline" || word == "connecting") return Health::down;
  return Health::unknown;
}

bool add(int epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

}  // namespace

Result<Mwan3Watch> Mwan3Watch::create(std::string base, Changed changed) {
  os::Fd epoll{epoll_create1(EPOLL_CLOEXEC)};
  auto watch = os::DirectoryWatch::create();
  if (!watch) return std::unexpected(std::move(watch.error()));
  auto retry = os::Timer::create();
  if (!retry) return std::unexpected(std::move(retry.error()));
  if (!epoll || !add(epoll.get(), watch->descriptor()) || !add(epoll.get(), retry->descriptor()))
    return fail(ErrorKind::io, std::string{"epoll for mwan3's state: "} + std::strerror(errno), errno);
  Mwan3Watch made{std::move(base), std::move(changed), std::move(epoll), std::move(*watch), std::move(*retry)};
  made.watchAll();
  made.states_ = made.read();
  return made;
}

Mwan3Watch::Mwan3Watch(std::string base, Changed changed, os::Fd epoll, os::DirectoryWatch watch, os::Timer retry)
    : base_(std::move(base)),
      changed_(std::move(changed)),
      epoll_(std::move(epoll)),
      watch_(std::move(watch)),
      retry_(std::move(retry)) {}

Health Mwan3Watch::of(const std::string& interface) const {
  const auto known = states_.find(interface);
  return known == states_.end() ? Health::unknown : known->second;
}

void Mwan3Watch::watchAll() {
  // From above downwards: what appears meanwhile is seen by the watch of its parent.
  std::filesystem::path folder{base_};
  baseNumber_ = watch_.add(base_);
  for (int number = baseNumber_; number < 0 && folder.has_relative_path();) {
    folder = folder.parent_path();
    number = watch_.add(folder.string());
  }
  watch_.add(base_ + "/mwan3");
  watch_.add(base_ + "/mwan3/iface_state");
  const std::string track = base_ + "/mwan3track";
  watch_.add(track);
  trackNumbers_.clear();
  for (const std::string& interface : namesIn(track))
    if (const int number = watch_.add(track + "/" + interface); number >= 0) trackNumbers_.insert(number);
}

bool Mwan3Watch::matters(int directory, const std::string& name) const {
  if (name.empty()) return true;
  if (directory == baseNumber_) return name == "mwan3" || name == "mwan3track";
  // The rest is rewritten every turn.
  return !trackNumbers_.contains(directory) || name == "STATUS";
}

void Mwan3Watch::ready() {
  bool again = false;
  watch_.drain([&](int directory, std::string_view name) { again |= matters(directory, std::string{name}); });
  retry_.acknowledge();
  if (again || empty_) refresh();
}

void Mwan3Watch::refresh() {
  watchAll();
  const States before = std::exchange(states_, read());
  std::set<std::string> names;
  for (const auto& [name, health] : before) names.insert(name);
  for (const auto& [name, health] : states_) names.insert(name);
  for (const std::string& name : names) {
    const auto known = before.find(name);
    const Health was = known == before.end() ? Health::unknown : known->second;
    if (const Health is = of(name); is != was) changed_(name, is);
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
  // Not blocking: whatever somebody put there.
  const os::Fd file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file) return std::nullopt;
  std::array<char, 32> text{};
  const ssize_t size = ::read(file.get(), text.data(), text.size());
  if (size < 0) return std::nullopt;
  std::string_view word{text.data(), static_cast<std::size_t>(size)};
  word = word.substr(0, word.find('\n'));
  if (!word.empty()) return healthOf(word);
  // Truncated and not yet written: as it was until it is.
  empty_ = true;
  return retries_ < kMaxRetries ? of(interface) : Health::unknown;
}

}  // namespace wgsteer::health
