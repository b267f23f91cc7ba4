// SPDX-License-Identifier: GPL-2.0-or-later
#include "foreign/networkd_conf.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>

#include "foreign/peer_endpoint.hpp"
#include "os/read_file.hpp"

namespace wgsteer::foreign {

namespace {

namespace fs = std::filesystem;

/// As systemd.syntax(7) has it; anything else is ignored.
std::optional<bool> asBoolean(std::string_view value) {
  for (const std::string_view yes : {"1", "yes", "y", "true", "t", "on"})
    if (value == yes) return true;
  for (const std::string_view no : {"0", "no", "n", "false", "f", "off"})
    if (value == no) return false;
  return std::nullopt;
}

void read(std::string_view text, NetworkdConf& conf) {
  bool inNetwork = false;
  while (!text.empty()) {
    const std::string_view line = trimmed(takeLine(text));
    if (line.starts_with('#') || line.starts_with(';')) continue;
    if (line.starts_with('[')) inNetwork = line == "[Network]";
    const auto equals = line.find('=');
    if (!inNetwork || equals == std::string_view::npos) continue;
    const auto value = asBoolean(trimmed(line.substr(equals + 1)));
    if (!value) continue;
    const std::string_view key = trimmed(line.substr(0, equals));
    if (key == "ManageForeignRoutingPolicyRules") conf.managesForeignRules = *value;
    if (key == "ManageForeignRoutes") conf.managesForeignRoutes = *value;
  }
}

/// Those of all folders, by name.
std::map<std::string, std::string> dropIns(const std::vector<std::string>& folders) {
  std::map<std::string, std::string> files;
  for (const std::string& folder : folders) {
    std::error_code error;
    for (fs::directory_iterator at{folder + "/networkd.conf.d", error}; !error && at != fs::directory_iterator{};
         at.increment(error))
      if (at->path().extension() == ".conf") files.emplace(at->path().filename(), at->path());
  }
  return files;
}

}  // namespace

NetworkdConf readNetworkdConf(const std::vector<std::string>& folders) {
  NetworkdConf conf;
  for (const std::string& folder : folders)
    if (const auto text = os::readFile(folder + "/networkd.conf")) {
      read(*text, conf);
      break;
    }
  for (const auto& [name, path] : dropIns(folders))
    if (const auto text = os::readFile(path)) read(*text, conf);
  return conf;
}

}  // namespace wgsteer::foreign
