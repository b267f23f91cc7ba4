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
inline constexpr int kSomethingFound = 2;  ///< changes are pending, or a problem was found
inline constexpr int kFlushed = 3;         ///< only of `run`: do not restart it (RestartPreventExitStatus=)
inline constexpr int kUsage = 64;          ///< EX_USAGE of sysexits.h

#ifdef WGSTEER_TOML
#define WGSTEER_CONFIG_FILE "/etc/wgsteer/wgsteer.toml"
#else
#define WGSTEER_CONFIG_FILE "/etc/config/wgsteer"
#endif
inline constexpr const char* kDefaultConfigFile = WGSTEER_CONFIG_FILE;

struct Options {
  std::string configFile;  ///< empty: kDefaultConfigFile if it exists
  bool json = false;
  bool once = false;
  bool watch = false;
  bool verbose = false;
  std::optional<std::uint32_t> mark;
  std::string from;
  // Of a packet that is any traffic's.
  std::string proto;
  std::string in;
  std::string mac;
  std::string dscp;
  std::string networkFile;  ///< empty: netifd's own if it exists
  std::string reason;
  std::string textFile;  ///< empty: standard output
  std::string to;        ///< toml, uci, or empty: the default format of this build
  std::vector<std::string> arguments;
};

enum class Group : std::uint8_t { look, change, daemon };

struct Verb {
  Group group;
  const char* name;
  const char* arguments;  ///< as the usage line shows them
  const char* summary;    ///< fits on a line of 80 columns in the overview
  const char* example;
  const char* options;  ///< letters of the options it takes, see kOptions
  int (*run)(const Options& options);
};

/// Prints help and usage errors itself. Returns the exit code.
int runCommandLine(int argc, char** argv, const std::vector<Verb>& verbs);

}  // namespace wgsteer::cli
