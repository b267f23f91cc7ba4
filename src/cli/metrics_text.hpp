// SPDX-License-Identifier: GPL-2.0-or-later
// A status document as Prometheus reads it: text exposition format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/), in base units, each metric with its HELP and TYPE.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace wgsteer {

/// `status` as statusDocument() makes it, of a daemon that runs or not; what is not known has no sample.
std::string metricsText(const nlohmann::json& status);

}  // namespace wgsteer
