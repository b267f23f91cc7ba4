// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "cli/options.hpp"

namespace wgsteer::cli {

int run(const Options& options);
int plan(const Options& options);
int status(const Options& options);
int metrics(const Options& options);
int explain(const Options& options);
/// The same for a packet of any traffic.
int explainTraffic(const Options& options);
int check(const Options& options);
int flush(const Options& options);
int monitor(const Options& options);
int wan(const Options& options);
int reload(const Options& options);
int import(const Options& options);
int version(const Options& options);

}  // namespace wgsteer::cli
