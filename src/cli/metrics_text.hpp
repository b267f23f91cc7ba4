// SPDX-License-Identifier: GPL-2.0-or-later
// A status document in Prometheus format: text exposition format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/), in base units, each metric with its HELP and TYPE.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace wgsteer {

/// `status` is the result of statusDocument(), with or without a running daemon; unknown values have no sample.
std::string metricsText(const nlohmann::json& status);

}  // namespace wgsteer
