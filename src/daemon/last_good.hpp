// SPDX-License-Identifier: GPL-2.0-or-later
// Which configuration a daemon starts with: the one that it is given, or, if that is broken, the one that was in use
// last, of which a copy is kept. A gateway that boots with a typing error in its file is not to be left without
// steering; a reload has no need of it, for there the one before is still in use.
//
// Failure: what cannot be kept is missing at a start with a broken file, and costs nothing else.
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
  std::string file;  ///< as errors call it; what its format is told by
  std::string text;
};

/// Where the configuration comes from.
struct ConfigSource {
  std::string file;  ///< the one that is configured; what is read may lie elsewhere (/var/run/uci)
  /// No text where there is no file and none is needed: that is a configuration as well.
  std::function<Result<ConfigText>()> read;
  std::function<Result<Config>(const ConfigText&)> make;
};

/// The copy: one for each file that is configured, so that `-c` of another one is never answered by it.
class LastGood {
 public:
  struct Kept {
    std::string text;
    WallSeconds since{};  ///< when it came into use
  };

  /// `configured` may be relative.
  explicit LastGood(const std::string& configured, const std::string& folder = stateFolder());

  /// For root alone, whole at any moment; written only if it is another one.
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
/// What the source has now.
Result<LoadedConfig> loadConfig(const ConfigSource& source);

struct StartConfig {
  LoadedConfig loaded;
  /// What is wrong with the configured file, if that is not what is loaded.
  std::optional<Error> refused{};
  std::string instead{};  ///< what is loaded then: "the last good configuration of 2026-11-29 08:50:23 (FILE)"
};
/// The configured file's error if there is nothing to go by instead.
Result<StartConfig> configForStart(const ConfigSource& source, const LastGood& lastGood);

}  // namespace wgsteer
