// SPDX-License-Identifier: GPL-2.0-or-later
// wgsteer-bench --daemon FILE --bare FILE [--json FILE] [--report FOLDER | --quick | --only NAME]
// wgsteer-bench --from JSON --report FOLDER
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <getopt.h>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks.hpp"
#include "report.hpp"

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

/// Exit status that tells ctest that the test cannot run here.
constexpr int kCannotRun = 77;

struct Benchmark {
  const char* name;
  std::vector<Row> (*run)(const Options&);
};

constexpr Benchmark kBenchmarks[] = {
    {"reaction", reaction},
    {"many", many},
    {"repair", repair},
    {"elements", elements},
    {"flood", flood},
    {"packets", packets},
    {"connections", connections},
    {"failover", failover},
    {"crowd", crowd},
    {"start", start},
    {"dns", dns},
    {"peers", peers},
    {"idle", idle},
    {"probes", probes},
    {"verdict", verdict},
};

/// The sockets of the tunnels and of the service manager are in /run, so use a private one.
void leaveTheMachine() {
  need(::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "namespaces of our own (needs root)");
  need(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mount --make-rprivate /");
  need(::mount("proc", "/proc", "proc", 0, nullptr) == 0, "a /proc of our own");
  need(::mount("tmpfs", "/run", "tmpfs", 0, nullptr) == 0, "a /run of our own");
  // The daemon looks for peers and stores its state in these.
  for (const char* folder : {"/etc/wireguard", "/etc/amnezia", "/etc/systemd/network", "/etc/config",
                             "/etc/NetworkManager/system-connections", "/var/lib/wgsteer"})
    need(::mount("tmpfs", folder, "tmpfs", 0, nullptr) == 0 || errno == ENOENT, std::string{"a folder for "} + folder);
  need(::mkdir("/run/state", 0700) == 0 && ::setenv("STATE_DIRECTORY", "/run/state", 1) == 0, "/run/state");
}

/// Runs a benchmark in a process and namespaces of its own, so that a failure affects no other and leaves nothing
/// behind.
bool runApart(const Benchmark& benchmark, const Options& options, std::vector<Row>& rows) {
  int ends[2];
  need(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  // The end of its PID namespace kills whatever the benchmark has started, including descendants.
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

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  // x86 uses the first of these names, MIPS the second; ARM has only a number.
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name") || line.starts_with("cpu model"))
      if (const auto colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "unknown processor";
}

Occasion thisOccasion() {
  utsname system{};
  ::uname(&system);
  const std::time_t time = std::time(nullptr);
  tm utc{};
  ::gmtime_r(&time, &utc);
  char date[16];
  std::strftime(date, sizeof date, "%Y-%m-%d", &utc);
  return {.date = date,
          .processor = processor(),
          .cpus = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)),
          .kernel = system.release,
          .machine = system.machine};
}

bool writeJson(const std::string& path, const Occasion& occasion, const std::vector<Row>& rows, bool quick,
               bool whole) {
  nlohmann::json document = occasion;
  document["quick"] = quick;
  document["whole"] = whole;
  document["rows"] = rows;
  std::ofstream file(path);
  file << document.dump(2) << '\n';
  return static_cast<bool>(file.flush());
}

bool writeReport(const std::string& folder, const Occasion& occasion, const std::vector<Row>& rows) {
  struct stat owner{};
  if (::stat(folder.c_str(), &owner) != 0) return false;
  const std::pair<const char*, std::string> files[] = {{kReactionChart, reactionChart(occasion, rows)},
                                                       {kFailoverChart, failoverChart(occasion, rows)},
                                                       {kReportFile, report(occasion, rows)}};
  for (const auto& [name, text] : files) {
    const std::string path = folder + "/" + name;
    std::ofstream file(path);
    file << text;
    if (!file.flush()) return false;
    // It runs as root, but the folder belongs to a user.
    if (::geteuid() == 0 && ::chown(path.c_str(), owner.st_uid, owner.st_gid) != 0) return false;
  }
  return true;
}

/// The report of an earlier run.
int reportOf(const std::string& path, const std::string& folder) {
  std::ifstream file(path);
  const nlohmann::json document = nlohmann::json::parse(file, nullptr, false);
  if (document.is_discarded() || !document.value("whole", false)) {
    std::fprintf(stderr, "bench: %s is not the result of a whole run\n", path.c_str());
    return 1;
  }
  const auto rows = document.at("rows").get<std::vector<Row>>();
  if (writeReport(folder, document.get<Occasion>(), rows)) return 0;
  std::fprintf(stderr, "bench: the report cannot be written to %s\n", folder.c_str());
  return 1;
}

int usage() {
  std::fputs(
      "usage: wgsteer-bench --daemon FILE --bare FILE [--json FILE] [--report FOLDER | --quick | --only NAME]\n"
      "       wgsteer-bench --from JSON --report FOLDER\nnames:",
      stderr);
  for (const Benchmark& benchmark : kBenchmarks) std::fprintf(stderr, " %s", benchmark.name);
  std::fputs("\n", stderr);
  return 64;
}

int run(int argc, char** argv) {
  Options options;
  std::string only, json, folder, from;
  const option known[] = {{"daemon", required_argument, nullptr, 'd'}, {"bare", required_argument, nullptr, 'b'},
                          {"json", required_argument, nullptr, 'j'},   {"quick", no_argument, nullptr, 'q'},
                          {"only", required_argument, nullptr, 'o'},   {"report", required_argument, nullptr, 'r'},
                          {"from", required_argument, nullptr, 'f'},   {nullptr, 0, nullptr, 0}};
  for (int given = 0; (given = ::getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    if (given == 'd')
      options.daemon = optarg;
    else if (given == 'b')
      options.bare = optarg;
    else if (given == 'j')
      json = optarg;
    else if (given == 'o')
      only = optarg;
    else if (given == 'r')
      folder = optarg;
    else if (given == 'f')
      from = optarg;
    else if (given == 'q')
      options.quick = true;
    else
      return usage();
  }
  const bool chosen =
      only.empty() || std::ranges::any_of(kBenchmarks, [&](const auto& each) { return only == each.name; });
  // A partial run, or a quick one, is not a report.
  if (!folder.empty() && (options.quick || !only.empty())) return usage();
  if (!from.empty()) return folder.empty() || optind != argc ? usage() : reportOf(from, folder);
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
  const Occasion occasion = thisOccasion();
  const bool reportable = whole && only.empty() && !options.quick;
  if (!json.empty() && !writeJson(json, occasion, rows, options.quick, reportable)) {
    std::fprintf(stderr, "bench: %s cannot be written\n", json.c_str());
    return 1;
  }
  if (!folder.empty() && !whole) std::fputs("bench: no report, for something could not be measured\n", stderr);
  if (!folder.empty() && reportable && !writeReport(folder, occasion, rows)) {
    std::fprintf(stderr, "bench: the report cannot be written to %s\n", folder.c_str());
    return 1;
  }
  return whole ? 0 : 1;
}

}  // namespace

}  // namespace wgsteer::bench

int main(int argc, char** argv) { return wgsteer::bench::run(argc, argv); }
