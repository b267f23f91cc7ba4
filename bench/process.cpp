// SPDX-License-Identifier: GPL-2.0-or-later
#include "process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sched.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <utility>

namespace wgsteer::bench {

void die(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::fflush(stderr);
  ::_exit(1);
}

void need(bool holds, const std::string& what) {
  if (!holds) die(what + ": " + std::strerror(errno));
}

namespace {

os::Fd currentNetns() {
  os::Fd own{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
  need(static_cast<bool>(own), "/proc/thread-self/ns/net");
  return own;
}

void enter(const os::Fd& netns) { need(::setns(netns.get(), CLONE_NEWNET) == 0, "setns"); }

std::vector<int> allowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  need(::sched_getaffinity(0, sizeof set, &set) == 0, "sched_getaffinity");
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  return cpus;
}

// As they were when the program started: a pinned process is allowed only one.
const std::vector<int> kCpus = allowedCpus();

std::string nextReadyPath() {
  static int count = 0;
  return "/run/ready." + std::to_string(::getpid()) + "." + std::to_string(count++);
}

}  // namespace

Netns::Netns() {
  const os::Fd before = currentNetns();
  need(::unshare(CLONE_NEWNET) == 0, "a network namespace of our own");
  own_ = currentNetns();
  enter(before);
  shell("ip link set lo up");
}

void Netns::inside(const std::function<void()>& action) const {
  const os::Fd before = currentNetns();
  enter(own_);
  action();
  enter(before);
}

void Netns::shell(const std::string& script) const {
  inside([&] {
    if (std::system(("set -e\n" + script).c_str()) != 0) die("failed: " + script);
  });
}

int driverCpu() { return kCpus.front(); }
int reactorCpu() { return kCpus.back(); }

void pinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  need(::sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity");
}

Process::Process(const Netns& netns, const std::function<void()>& body) : id_(::fork()) {
  need(id_ >= 0, "fork");
  if (id_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  need(::setns(netns.descriptor(), CLONE_NEWNET) == 0, "setns");
  pinTo(reactorCpu());
  body();
  ::_exit(0);
}

Process::Process(Process&& other) noexcept : id_(std::exchange(other.id_, -1)) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    end();
    id_ = std::exchange(other.id_, -1);
  }
  return *this;
}

void Process::end() {
  if (id_ <= 0) return;
  ::kill(id_, SIGKILL);
  while (::waitpid(id_, nullptr, 0) < 0 && errno == EINTR) {
  }
  id_ = -1;
}

void Process::await() {
  int status = 0;
  while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  id_ = -1;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die("a process failed, see above");
}

std::int64_t Process::cpuTime() const {
  std::ifstream file("/proc/" + std::to_string(id_) + "/schedstat");
  std::int64_t time = 0;
  if (!(file >> time)) die("/proc/PID/schedstat cannot be read: has the process ended?");
  return time;
}

void Process::awaitIdle() const {
  for (std::int64_t before = -1; before != cpuTime();) {
    before = cpuTime();
    ::usleep(10'000);
  }
}

std::int64_t Process::number(const std::string& name, const std::string& field) const {
  std::ifstream file("/proc/" + std::to_string(id_) + "/" + name);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(field + ":")) return std::strtoll(line.c_str() + field.size() + 1, nullptr, 10);
  die("/proc/PID/" + name + " has no " + field + ": has the process ended?");
}

void exec(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  ::execvp(arguments.front(), arguments.data());
  die("cannot run " + command.front() + ": " + std::strerror(errno));
}

ReadySocket::ReadySocket() : path_(nextReadyPath()), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof address.sun_path - 1);
  need(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, path_);
}

ReadySocket::~ReadySocket() { ::unlink(path_.c_str()); }

void ReadySocket::await(int seconds) const {
  char text[256];
  while (true) {
    pollfd wait{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, seconds * 1000) <= 0) die("the daemon was not ready in time");
    const ssize_t size = ::recv(socket_.get(), text, sizeof text, 0);
    if (size > 0 && std::string_view{text, static_cast<std::size_t>(size)}.find("READY=1") != std::string_view::npos)
      return;
  }
}

Gate::Gate() {
  int ends[2];
  need(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  reading_.reset(ends[0]);
  writing_.reset(ends[1]);
}

void Gate::open() const { need(::write(writing_.get(), "", 1) == 1, "write to a pipe"); }

void Gate::await() const {
  pollfd wait{.fd = reading_.get(), .events = POLLIN, .revents = 0};
  char byte = 0;
  if (::poll(&wait, 1, 20'000) <= 0 || ::read(reading_.get(), &byte, 1) != 1) die("a helper process did not start");
}

}  // namespace wgsteer::bench
