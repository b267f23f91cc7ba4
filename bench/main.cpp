// SPDX-License-Identifier: GPL-2.0-or-later
// wgsteer-bench --daemon FILE --bare FILE [--json FILE] [--quick] [--only NAME]
#include <algorithm>
#include <csignal>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <getopt.h>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks.hpp"

namespace wgsteer::bench {

namespace {

std::mt19937& generator() {
  static std::mt19937 instance{std::random_device{}()};
  return instance;
}

}  // namespace

std::vector<std::size_t> shuffled(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, generator());
  return order;
}

void pause(int leastMicroseconds, int mostMicroseconds) {
  ::usleep(static_cast<useconds_t>(std::uniform_int_distribution{leastMicroseconds, mostMicroseconds}(generator())));
}

namespace {

/// Exit status by which ctest knows that something cannot run here.
constexpr int kCannotRun = 77;

struct Benchmark {
  const char* name;
  std::vector<Row> (*run)(const Options&);
};

constexpr Benchmark kBenchmarks[] = {
    {"reaction", reaction}, {"many", many},         {"repair", repair}, {"elements", elements}, {"flood", flood},
    {"packets", packets},   {"failover", failover}, {"crowd", crowd},   {"start", start},       {"dns", dns},
    {"peers", peers},       {"idle", idle},         {"probes", probes}, {"verdict", verdict},
};

/// Sockets of the tunnels and of the service manager lie in /run: one of our own.
void leaveTheMachine() {
  need(::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "namespaces of our own (needs root)");
  need(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mount --make-rprivate /");
  need(::mount("proc", "/proc", "proc", 0, nullptr) == 0, "a /proc of our own");
  need(::mount("tmpfs", "/run", "tmpfs", 0, nullptr) == 0, "a /run of our own");
}

/// In a process and namespaces of its own, so that a benchmark that fails fails alone and leaves nothing behind.
  // The daemon looks there for peers, and keeps there what it is to remember.
  for (const char* folder : {"/etc/wireguard", "/etc/amnezia", "/etc/systemd/network", "/etc/config",
                             "/etc/NetworkManager/system-connections", "/var/lib/wgsteer"})
    need(::mount("tmpfs", folder, "tmpfs", 0, nullptr) == 0 || errno == ENOENT, std::string{"a folder for "} + folder);
  need(::mkdir("/run/state", 0700) == 0 && ::setenv("STATE_DIRECTORY", "/run/state", 1) == 0, "/run/state");
bool runApart(const Benchmark& benchmark, const Options& options, std::vector<Row>& rows) {
  int ends[2];
  need(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  // Its process namespace takes with it whatever a benchmark may have started, also what that has started.
  const auto child =
      static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  need(child >= 0, "fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    leaveTheMachine();
    pinTo(driverCpu());
    const std::string text = nlohmann::json(benchmark.run(options)).dump();
    need(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write to a pipe");
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char part[4096];
  for (ssize_t size = 0; (size = ::read(ends[0], part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::fprintf(stderr, "bench: %s failed\n", benchmark.name);
    return false;
  }
  for (Row& row : nlohmann::json::parse(text).get<std::vector<Row>>()) rows.push_back(std::move(row));
  return true;
}

bool writeJson(const std::string& path, const std::vector<Row>& rows, bool quick) {
  utsname system{};
  ::uname(&system);
  const nlohmann::json document{
      {"kernel", system.release}, {"machine", system.machine}, {"quick", quick}, {"rows", rows}};
  std::ofstream file(path);
  file << document.dump(2) << '\n';
  return static_cast<bool>(file.flush());
}

int usage() {
  std::fputs("usage: wgsteer-bench --daemon FILE --bare FILE [--json FILE] [--quick] [--only NAME]\nnames:", stderr);
  for (const Benchmark& benchmark : kBenchmarks) std::fprintf(stderr, " %s", benchmark.name);
  std::fputs("\n", stderr);
  return 64;
}

int run(int argc, char** argv) {
  Options options;
  std::string only, json;
  const option known[] = {{"daemon", required_argument, nullptr, 'd'}, {"bare", required_argument, nullptr, 'b'},
                          {"json", required_argument, nullptr, 'j'},   {"quick", no_argument, nullptr, 'q'},
                          {"only", required_argument, nullptr, 'o'},   {nullptr, 0, nullptr, 0}};
  for (int given = 0; (given = ::getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    if (given == 'd')
      options.daemon = optarg;
    else if (given == 'b')
      options.bare = optarg;
    else if (given == 'j')
      json = optarg;
    else if (given == 'o')
      only = optarg;
    else if (given == 'q')
      options.quick = true;
    else
      return usage();
  }
  const bool chosen =
      only.empty() || std::ranges::any_of(kBenchmarks, [&](const auto& each) { return only == each.name; });
  if (options.daemon.empty() || options.bare.empty() || optind != argc || !chosen) return usage();
  if (::geteuid() != 0) {
    std::fputs("bench: needs root, for network namespaces\n", stderr);
    return kCannotRun;
  }
  std::vector<Row> rows;
  bool whole = true;
  for (const Benchmark& benchmark : kBenchmarks) {
    if (!only.empty() && only != benchmark.name) continue;
    std::fprintf(stderr, "%s ...\n", benchmark.name);
    whole &= runApart(benchmark, options, rows);
  }
  print(rows);
  if (!json.empty() && !writeJson(json, rows, options.quick)) {
    std::fprintf(stderr, "bench: %s cannot be written\n", json.c_str());
    return 1;
  }
  return whole ? 0 : 1;
}

}  // namespace

}  // namespace wgsteer::bench

int main(int argc, char** argv) { return wgsteer::bench::run(argc, argv); }
