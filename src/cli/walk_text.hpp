// SPDX-License-Identifier: GPL-2.0-or-later
// What both kinds of `explain` have in common: the destination they are asked about, and how a walk is shown.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "wgsteer/core/explain.hpp"

#include "cli/options.hpp"

namespace wgsteer::cli {

/// The verb's argument; nullopt: it is none, and the user was told.
std::optional<Endpoint> destinationOf(const Options& options);

/// How it ends, as a line.
std::string verdictOf(const Walk& walk);
void printSteps(const Walk& walk);
void printVerdict(const std::string& verdict, bool good);
nlohmann::json stepsOf(const Walk& walk);

}  // namespace wgsteer::cli
