// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/service_manager.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "os/fd.hpp"
#include "os/process_name.hpp"

namespace wgsteer::os {

namespace {

std::string ownCgroups() {
  const Fd file{::open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC)};
  std::array<char, 4096> text{};
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : 0;
  return size <= 0 ? std::string{} : std::string{text.data(), static_cast<std::size_t>(size)};
}

}  // namespace

/// "0::/system.slice/wgsteer.service", and with cgroup version 1 "1:name=systemd:/system.slice/wgsteer.service".
std::string unitOf(std::string_view cgroups) {
  constexpr std::string_view kSuffix = ".service";
  while (!cgroups.empty()) {
    const std::string_view line = cgroups.substr(0, cgroups.find('\n'));
    if (line.ends_with(kSuffix)) return std::string{line.substr(line.rfind('/') + 1)};
    cgroups.remove_prefix(std::min(line.size() + 1, cgroups.size()));
  }
  return {};
}

ServiceManager serviceManager() {
  // Set only for the service itself; a process in a user's session has the session's cgroup.
  if (std::getenv("NOTIFY_SOCKET") != nullptr)
    if (std::string unit = unitOf(ownCgroups()); !unit.empty()) return {"systemd", std::move(unit)};
  if (processName(static_cast<std::uint32_t>(getppid())) == "procd") return {"procd", {}};
  return {};
}

}  // namespace wgsteer::os
