// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/uci_path.hpp"

#include <algorithm>
#include <sys/stat.h>

namespace wgsteer::config {

std::vector<std::string> uciFiles(std::string_view package) {
  std::vector<std::string> paths;
  for (const char* folder : {"/var/run/uci/", "/etc/config/"}) paths.push_back(folder + std::string{package});
  return paths;
}

std::vector<std::string> filesFor(std::string_view path) {
  constexpr std::string_view kFolder = "/etc/config/";
  if (!path.starts_with(kFolder) || path.find('/', kFolder.size()) != std::string_view::npos)
    return {std::string{path}};
  return uciFiles(path.substr(kFolder.size()));
}

std::string firstThere(const std::vector<std::string>& paths) {
  const auto found = std::ranges::find_if(paths, [](const std::string& path) {
    struct stat about{};
    return ::stat(path.c_str(), &about) == 0;
  });
  if (found != paths.end()) return *found;
  return paths.empty() ? std::string{} : paths.back();
}

}  // namespace wgsteer::config
