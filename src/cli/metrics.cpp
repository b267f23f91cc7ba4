// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/common.hpp"
#include "cli/metrics_text.hpp"
#include "cli/verbs.hpp"
#include "os/replace_file.hpp"

namespace wgsteer::cli {

int metrics(const Options& options) {
  auto document = currentStatus(options);
  if (!document) return report("metrics", document.error());
  countConnections(*document);
  const std::string text = metricsText(*document);
  if (options.textFile.empty()) {
    std::fputs(text.c_str(), stdout);
    return kOk;
  }
  const auto written = os::replaceFile(options.textFile, text);
  return written ? kOk : report("metrics", written.error());
}

}  // namespace wgsteer::cli
