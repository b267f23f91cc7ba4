// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/process_name.hpp"

#include <array>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>

#include "os/fd.hpp"

namespace wgsteer::os {

std::string processName(std::uint32_t pid) {
  const Fd file{::open(("/proc/" + std::to_string(pid) + "/comm").c_str(), O_RDONLY | O_CLOEXEC)};
  std::array<char, 64> text{};
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : 0;
  if (size <= 0) return {};
  const std::string_view read{text.data(), static_cast<std::size_t>(size)};
  return std::string{read.substr(0, read.find('\n'))};
}

}  // namespace wgsteer::os
