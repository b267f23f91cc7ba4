// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/last_good.hpp"

#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>
#include <utility>

#include "os/read_file.hpp"
#include "os/replace_file.hpp"

namespace wgsteer {

namespace {

constexpr mode_t kForRootAlone = 0600;

std::unexpected<Error> failed(const std::string& what) {
  return fail(ErrorKind::io, what + ": " + std::strerror(errno), errno);
}

/// "/etc/wgsteer/wgsteer.toml" becomes "etc-wgsteer-wgsteer.toml"; no two paths get the same name.
std::string nameFor(const std::string& configured) {
  std::error_code ignored;
  const std::string path = std::filesystem::absolute(configured, ignored).lexically_normal();
  std::string name;
  for (const char each : path.substr(path.starts_with('/') ? 1 : 0)) {
    if (each == '/') {
      name += '-';
    } else if (std::isalnum(static_cast<unsigned char>(each)) != 0 || each == '.' || each == '_') {
      name += each;
    } else {
      std::array<char, 4> hex{};
      std::snprintf(hex.data(), hex.size(), "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(each)));
      name += hex.data();
    }
  }
  return name;
}

std::string dateOf(WallSeconds moment) {
  const std::time_t time = std::chrono::system_clock::to_time_t(moment);
  std::tm local{};
  std::array<char, 32> text{};
  localtime_r(&time, &local);
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  return text.data();
}

}  // namespace

LastGood::LastGood(const std::string& configured, const std::string& folder)
    : file_(folder + "/last_good." + nameFor(configured)) {}

Status LastGood::keep(std::string_view text) const {
  if (const auto kept = os::readFile(file_); kept && *kept == text) return {};
  const std::string folder = os::folderOf(file_);
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return failed(folder);
  return os::replaceFile(file_, text, kForRootAlone);
}

Result<LastGood::Kept> LastGood::find() const {
  auto text = os::readFile(file_);
  if (!text) return std::unexpected(text.error());
  struct stat about{};
  if (stat(file_.c_str(), &about) != 0) return failed(file_);
  return Kept{.text = std::move(*text), .since = fromEpoch(about.st_mtime)};
}

Result<LoadedConfig> loadConfig(const ConfigSource& source) {
  auto read = source.read();
  if (!read) return std::unexpected(read.error());
  auto config = source.make(*read);
  if (!config) return std::unexpected(config.error());
  return LoadedConfig{.config = std::move(*config), .text = std::move(read->text)};
}

Result<StartConfig> configForStart(const ConfigSource& source, const LastGood& lastGood) {
  auto loaded = loadConfig(source);
  if (loaded) return StartConfig{.loaded = std::move(*loaded)};
  Error error = std::move(loaded.error());
  auto kept = lastGood.find();
  if (!kept && kept.error().kind == ErrorKind::notThere) return std::unexpected(std::move(error));
  if (!kept) {
    error.what += "\nnor can the last good configuration be used: " + kept.error().toString();
    return std::unexpected(std::move(error));
  }
  const std::string instead = "the last good configuration of " + dateOf(kept->since) + " (" + lastGood.file() + ")";
  // Under its own name, which determines the format. It was valid once, at worst for another version of this program.
  auto config = source.make({.file = source.file, .text = kept->text});
  if (!config) {
    error.what += "\nnor can " + instead + " be used: " + config.error().toString();
    return std::unexpected(std::move(error));
  }
  return StartConfig{.loaded = {.config = std::move(*config), .text = std::move(kept->text)},
                     .refused = std::move(error),
                     .instead = instead};
}

}  // namespace wgsteer
