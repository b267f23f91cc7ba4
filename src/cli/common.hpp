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

/// The file named by --config, or the default one if it exists, or no configuration at all; --verbose applies to it.
ConfigSource configSource(const Options& options);
/// The configuration that it has now.
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

/// The status document, from the daemon if it is running, otherwise from the kernel.
Result<nlohmann::json> currentStatus(const Options& options);
/// Counts the connections on each exit, if there are rules for any traffic. Reads all connections that the kernel
/// tracks, so it is not for what is repeated. Without the right to do so, they stay unknown.
void countConnections(nlohmann::json& document);

/// Whether the kernel refuses to let this process change the network.
bool lacksRight(const Error& error);

/// "wgsteer VERB: what", on stderr; returns kError.
int report(std::string_view verb, const Error& error);
void print(const nlohmann::json& document);
/// One document of several, on a line of its own.
void printLine(const nlohmann::json& document);
/// Text for people, on stdout. It may contain names chosen by others, so escape sequences are made harmless.
void printText(std::string_view text);
/// Width in characters of the terminal that stdout is; 0: not a terminal, so lines may have any length.
std::size_t outputWidth();
/// Colour only on a terminal, and not when NO_COLOR asks for none.
bool colourWanted();

}  // namespace wgsteer::cli
