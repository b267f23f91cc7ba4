// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "cli/verbs.hpp"
#include "os/standard_streams.hpp"

namespace {

/// What could not be written has not been done: a full disk, a reader who has left, no stdout at all.
int written(int code) {
  using namespace wgsteer::cli;
  const bool failedBefore = std::ferror(stdout) != 0;
  errno = 0;
  if (std::fflush(stdout) == 0 && !failedBefore) return code;
  if (errno == EPIPE) return kError;
  std::fprintf(stderr, "wgsteer: standard output: %s\n",
               errno == 0 ? "not everything could be written" : std::strerror(errno));
  return kError;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace wgsteer::cli;
  wgsteer::os::holdStandardStreams();
  // A last resort: only the lack of memory throws, and then the kernel's state stays as it is.
  try {
    return written(runCommandLine(
        argc, argv,
        {
            {"run", "", "keep the kernel equal to the plan, in the foreground", "cov", run},
            {"plan", "", "say what would change now, a change a line; changes nothing", "cj", plan},
            {"status", "", "WANs, tunnels, peers and the WAN that each leaves by", "cjw", status},
            {"metrics", "", "status as Prometheus reads it", "cx", metrics},
            {"explain", "ADDR[:PORT]", "the way of a packet: rule by rule, route, device, source", "cjmf", explain},
            {"check", "", "what on this host stands in the way, each with its fix", "cj", check},
            {"monitor", "", "what the daemon hears, what it changes for it, and how long that takes", "j", monitor},
            {"import", "mwan3 [FILE]", "print a configuration made from mwan3's; say what of that never worked", "nt",
             import},
            {"wan", "NAME up|down|auto", "use a WAN or not, whatever probes say, until auto; remembered over a restart",
             "r", wan},
            {"reload", "", "make the daemon read its configuration again", "", reload},
            {"flush", "", "remove everything of ours from the kernel; a daemon that runs ends", "cv", flush},
            {"version", "", "print the version", "j", version},
        }));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wgsteer: %s\n", error.what());
    return kError;
  }
}
