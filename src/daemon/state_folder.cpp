// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/state_folder.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace wgsteer {

std::string stateFolder(const std::string& serviceFolder) {
  // systemd.exec(5): several folders are separated by colons; the first is ours.
  const char* given = std::getenv("STATE_DIRECTORY");
  std::string folder = given == nullptr ? "" : std::string{given, std::strcspn(given, ":")};
  if (!folder.empty()) return folder;
  std::error_code ignored;
  return std::filesystem::is_directory(serviceFolder, ignored) ? serviceFolder : "/var/run/wgsteer";
}

}  // namespace wgsteer
