// SPDX-License-Identifier: GPL-2.0-or-later
// The command line: one verb, its options and arguments.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wgsteer::cli {

// Exit codes.
inline constexpr int kOk = 0;
inline constexpr int kError = 1;
inline constexpr int kSomethingFound = 2;  ///< there is something to change, or a problem was found
inline constexpr int kFlushed = 3;  ///< of `run` alone: it is not to be started again (RestartPreventExitStatus=)
inline constexpr int kUsage = 64;   ///< EX_USAGE of sysexits.h

#ifdef WGSTEER_TOML
#define WGSTEER_CONFIG_FILE "/etc/wgsteer/wgsteer.toml"
#else
#define WGSTEER_CONFIG_FILE "/etc/config/wgsteer"
#endif
inline constexpr const char* kDefaultConfigFile = WGSTEER_CONFIG_FILE;

struct Options {
  std::string configFile;  ///< empty: kDefaultConfigFile if it is there
  bool json = false;
  bool once = false;
  bool watch = false;
  bool verbose = false;
  std::optional<std::uint32_t> mark;
  std::string from;
  std::string networkFile;  ///< empty: netifd's own if it is there
  std::string reason;
  std::string textFile;  ///< empty: standard output
  std::string to;        ///< toml, uci, or empty: by the build
  std::vector<std::string> arguments;
};

struct Verb {
  const char* name;
  const char* arguments;  ///< as the usage line shows them
  const char* summary;
  const char* options;  ///< letters of those it takes: c j o w v m f n t r
  int (*run)(const Options& options);
};

/// Prints help or a usage error itself and then returns the exit code to leave with.
int runCommandLine(int argc, char** argv, const std::vector<Verb>& verbs);

}  // namespace wgsteer::cli
