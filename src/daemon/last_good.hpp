// SPDX-License-Identifier: GPL-2.0-or-later
// Which configuration a daemon starts with: the one that it is given or, if that is broken, a copy of the one last in
// use. A gateway that boots with a typo in its file must not be left without steering. A reload does not need the copy,
// because the previous configuration is still in use.
//
// Failure: if no copy can be written, a start with a broken file lacks it; nothing else is affected.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/time.hpp"
#include "wgsteer/result.hpp"

#include "daemon/state_folder.hpp"

namespace wgsteer {

struct ConfigText {
  std::string file;  ///< the name in errors; it determines the format
  std::string text;
};

/// Where the configuration comes from.
struct ConfigSource {
  std::string file;  ///< the configured one; the file that is read may be elsewhere (/var/run/uci)
  /// Without text if there is no file and none is required: that is a configuration as well.
  std::function<Result<ConfigText>()> read;
  std::function<Result<Config>(const ConfigText&)> make;
};

/// The copy: one per configured file, so that it is never used for another file named by `-c`.
class LastGood {
 public:
  struct Kept {
    std::string text;
    WallSeconds since{};  ///< when it came into use
  };

  /// `configured` may be relative.
  explicit LastGood(const std::string& configured, const std::string& folder = stateFolder());

  /// Readable by root only, replaced atomically; written only if it differs.
  Status keep(std::string_view text) const;
  /// ErrorKind::notThere: nothing was ever kept.
  Result<Kept> find() const;
  const std::string& file() const { return file_; }

 private:
  std::string file_;
};

struct LoadedConfig {
  Config config;
  std::string text;
};
/// The source's current configuration.
Result<LoadedConfig> loadConfig(const ConfigSource& source);

struct StartConfig {
  LoadedConfig loaded;
  /// What is wrong with the configured file, if another one was loaded.
  std::optional<Error> refused{};
  std::string instead{};  ///< what was loaded then: "the last good configuration of 2026-11-29 08:50:23 (FILE)"
};
/// Fails with the error of the configured file if there is nothing to use instead.
Result<StartConfig> configForStart(const ConfigSource& source, const LastGood& lastGood);

}  // namespace wgsteer
