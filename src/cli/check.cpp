// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "wgsteer/core/desire.hpp"
#include "wgsteer/core/inspect.hpp"

#include "cli/common.hpp"
#include "cli/daemon_check.hpp"
#include "cli/firewall_check.hpp"
#include "cli/verbs.hpp"
#include "control/control_client.hpp"
#include "foreign/networkd_check.hpp"
#include "log/printable.hpp"

namespace wgsteer::cli {

namespace {

const char* nameOf(Severity severity) {
  switch (severity) {
    case Severity::conflict:
      return "conflict";
    case Severity::problem:
      return "problem";
    case Severity::advice:
      break;
  }
  return "advice";
}

const char* colourOf(Severity severity) {
  if (!colourWanted()) return "";
  return severity == Severity::advice ? "\033[33m" : "\033[31m";
}

void printFindings(const std::vector<Finding>& findings) {
  const char* reset = colourWanted() ? "\033[0m" : "";
  for (const Finding& finding : findings) {
    std::printf("%s%s%s: ", colourOf(finding.severity), nameOf(finding.severity), reset);
    printText(finding.what + "\n");
    if (!finding.fix.empty()) printText("    fix: " + finding.fix + "\n");
  }
  if (findings.empty()) std::puts("no problems found");
}

/// Reports a broken file, and what a start would use instead.
int reportBroken(const Result<StartConfig>& start) {
  const int code = report("check", start ? *start->refused : start.error());
  const std::string outlook = start
                                  ? "a start would use " + start->instead
                                  : "a start would fail: there is no copy of an earlier configuration to fall back on";
  std::fprintf(stderr, "%s\n", log::printable(outlook).c_str());
  return code;
}

/// They are in most containers.
bool sysctlsAreReadOnly() {
  return ::access("/proc/sys/net/ipv4/conf/all/src_valid_mark", W_OK) != 0 && errno == EROFS;
}

}  // namespace

int check(const Options& options) {
  const ConfigSource source = configSource(options);
  auto start = configForStart(source, LastGood{source.file});
  if (!start || start->refused) return reportBroken(start);
  auto host = lookAtHost(std::move(start->loaded.config));
  if (!host) return report("check", host.error());
  const auto daemon = askDaemon("status");
  if (daemon) learnFrom(daemon->at("status"), host->config, host->picture.world);
  const World& world = host->picture.world;
  const Steering steering = steer(host->config, world);
  const bool writable = !sysctlsAreReadOnly();
  auto findings = inspect(host->config, host->picture, steering, desire(host->config, world, steering), writable);
  std::ranges::move(foreign::inspectNetworkd(), std::back_inserter(findings));
  std::ranges::move(inspectFirewall(*host), std::back_inserter(findings));
  if (daemon) std::ranges::move(inspectDaemon(daemon->at("status"), writable), std::back_inserter(findings));
  if (!daemon && daemon.error().kind == ErrorKind::busy)
    findings.push_back({Severity::problem, daemon.error().toString() + ": only the kernel steers until it does",
                        "look whether its process is stopped, or at what it waits for"});
  std::ranges::stable_sort(findings, {}, &Finding::severity);
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const Finding& finding : findings)
      list.push_back({{"severity", nameOf(finding.severity)}, {"what", finding.what}, {"fix", finding.fix}});
    print({{"findings", std::move(list)}});
  } else {
    printFindings(findings);
  }
  const bool serious = std::ranges::any_of(findings, [](const Finding& f) { return f.severity != Severity::advice; });
  return serious ? kSomethingFound : kOk;
}

}  // namespace wgsteer::cli
