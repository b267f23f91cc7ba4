// SPDX-License-Identifier: GPL-2.0-or-later
// What several verbs need: the configuration, a look at the kernel, printing.
#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/track.hpp"
#include "wgsteer/kernel.hpp"
#include "wgsteer/result.hpp"

#include "cli/options.hpp"
#include "daemon/last_good.hpp"

namespace wgsteer::cli {

/// The file named by --config, or the default one if there is one, or no configuration at all; with --verbose.
ConfigSource configSource(const Options& options);
/// What it has now.
Result<Config> configOf(const Options& options);

struct Host {
  std::unique_ptr<Kernel> kernel;
  Config config;
  Picture picture;
};
/// The kernel as it is now, for this configuration, or for the one that the options name.
Result<Host> lookAtHost(Config config, const ObserveOptions& observe = {});
Result<Host> lookAtHost(const Options& options, const ObserveOptions& observe = {});

Result<std::unique_ptr<Kernel>> openKernel();

/// The status document: from the daemon when it runs, from the kernel when it does not.
Result<nlohmann::json> currentStatus(const Options& options);

/// The kernel does not let this process change the network.
bool lacksRight(const Error& error);

/// "wgsteer VERB: what", on stderr; returns kError.
int report(std::string_view verb, const Error& error);
void print(const nlohmann::json& document);
/// One of several, on a line of its own.
void printLine(const nlohmann::json& document);
/// Text for people, on stdout, which may have names in it that others gave: nothing in it is obeyed by a terminal.
void printText(std::string_view text);
/// Characters in a line of the terminal that stdout is; 0: it is none, and a line has room for all.
std::size_t outputWidth();
/// Colour only on a terminal, and not when NO_COLOR asks for none.
bool colourWanted();

}  // namespace wgsteer::cli
