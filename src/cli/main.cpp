// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "cli/verbs.hpp"
#include "os/standard_streams.hpp"

namespace {

/// Output that could not be written is a failure: a full disk, a reader that is gone, no stdout at all.
int written(int code) {
  using namespace wgsteer::cli;
  const bool failedBefore = std::ferror(stdout) != 0;
  errno = 0;
  if (std::fflush(stdout) == 0 && !failedBefore) return code;
  if (errno == EPIPE) return kError;
  std::fprintf(stderr, "wgsteer: standard output: %s\n",
               errno == 0 ? "some output could not be written" : std::strerror(errno));
  return kError;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace wgsteer::cli;
  wgsteer::os::holdStandardStreams();
  // Last resort: only running out of memory throws, and then the kernel state stays as it is.
  try {
    return written(runCommandLine(
        argc, argv,
        {
            {Group::look, "status", "", "show WANs, tunnels, peers, and the WAN each uses", "wgsteer status --watch",
             "cjw", status},
            {Group::look, "check", "", "report conflicts on this host and how to fix each", "wgsteer check", "cj",
             check},
            {Group::look, "explain", "ADDR[:PORT]", "trace a packet through rules, routes and nftables",
             "wgsteer explain --proto tcp --in br-lan --from 192.168.5.40 203.0.113.9:443", "cjmfpiad", explain},
            {Group::look, "plan", "", "show pending changes, one per line (dry run)", "wgsteer plan --config new.toml",
             "cj", plan},
            {Group::look, "monitor", "", "show events as they happen, and their changes", "wgsteer monitor", "j",
             monitor},
            {Group::look, "metrics", "", "print the status in Prometheus text format",
             "wgsteer metrics --textfile /var/lib/prometheus/node-exporter/wgsteer.prom", "cx", metrics},
            {Group::look, "import", "mwan3 [FILE]", "print a configuration converted from mwan3's",
             "wgsteer import mwan3 --to uci", "nt", import},
            {Group::look, "version", "", "print the version", "wgsteer version --json", "j", version},
            {Group::change, "wan", "NAME up|down|auto", "override a WAN's state; auto: back to normal",
             "wgsteer wan fiber down --reason maintenance", "r", wan},
            {Group::change, "reload", "", "make the daemon reload its configuration", "wgsteer reload", "", reload},
            {Group::change, "flush", "", "stop the daemon and remove all its state", "wgsteer flush --verbose", "cv",
             flush},
            {Group::daemon, "run", "", "run the daemon in the foreground", "wgsteer run --verbose", "cov", run},
        }));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wgsteer: %s\n", error.what());
    return kError;
  }
}
