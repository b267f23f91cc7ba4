// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/networkd_check.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "config/file.hpp"

namespace wgsteer::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::array kFolders{"/etc/systemd/networkd.conf.d", "/run/systemd/networkd.conf.d",
                              "/usr/lib/systemd/networkd.conf.d"};

bool runs() {
  std::error_code ignored;
  return fs::exists("/run/systemd/netif/state", ignored);
}

bool says(const fs::path& file, const std::string& key) {
  const auto text = config::readFile(file.string());
  if (!text) return false;
  std::string_view left = *text;
  while (!left.empty()) {
    const auto end = std::min(left.find('\n'), left.size() - 1);
    std::string line{left.substr(0, end + 1)};
    left.remove_prefix(end + 1);
    std::erase_if(line,
                  [](char letter) { return letter == ' ' || letter == '\t' || letter == '\n' || letter == '\r'; });
    if (line == key + "=no" || line == key + "=false" || line == key + "=0") return true;
  }
  return false;
}

bool isSwitchedOff(const std::string& key) {
  if (says("/etc/systemd/networkd.conf", key)) return true;
  for (const char* folder : kFolders) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{folder, ignored})
      if (says(entry.path(), key)) return true;
  }
  return false;
}

}  // namespace

std::vector<Finding> inspectNetworkd() {
  std::vector<Finding> findings;
  if (!runs()) return findings;
  for (const char* key : {"ManageForeignRoutingPolicyRules", "ManageForeignRoutes"})
    if (!isSwitchedOff(key))
      findings.push_back(
          {Severity::advice, "systemd-networkd deletes our rules and routes whenever it starts",
           std::string{"set "} + key + "=no under [Network] in /etc/systemd/networkd.conf.d/wgsteer.conf"});
  return findings;
}

}  // namespace wgsteer::cli
