// SPDX-License-Identifier: GPL-2.0-or-later
// Network namespaces and processes in them. Whatever fails here ends the benchmark with a line that says what.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "os/fd.hpp"

namespace wgsteer::bench {

[[noreturn]] void die(const std::string& what);
/// Dies with errno's text unless the condition holds.
void need(bool holds, const std::string& what);

/// An empty network namespace with loopback up; it lives as long as this or a process in it.
class Netns {
 public:
  Netns();
  /// Calls `action` with the thread in this namespace: sockets that it opens stay there.
  void inside(const std::function<void()>& action) const;
  /// Runs a script with sh(1) in this namespace.
  void shell(const std::string& script) const;
  int descriptor() const { return own_.get(); }

 private:
  os::Fd own_;
};

/// The two CPUs that measurements are spread over; the same one where there is only one.
int driverCpu();
int reactorCpu();
void pinTo(int cpu);

/// Killed with its owner.
class Process {
 public:
  Process() = default;
  /// `body` runs in a fork in the namespace, on the reactors' CPU.
  Process(const Netns& netns, const std::function<void()>& body);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() { end(); }

  pid_t id() const { return id_; }
  void end();
  /// Waits until it ends by itself; dies unless it succeeds.
  void await();
  /// On-CPU time so far, ns (/proc/PID/schedstat), of its first thread; the daemon has no other.
  std::int64_t cpuTime() const;
  /// Waits until it has used no CPU for ten milliseconds.
  void awaitIdle() const;
  /// Resident memory, KiB, from smaps_rollup: VmRSS is counted in batches per CPU and off by a tenth.
  std::int64_t resident() const { return number("smaps_rollup", "Rss"); }
  /// What would be free without it, KiB: its anonymous memory, and pages of files that no other process has mapped.
  /// Shared pages count for every process in `Rss`.
  std::int64_t privately() const {
    return number("smaps_rollup", "Pss_Anon") + number("smaps_rollup", "Private_Clean");
  }
  std::int64_t voluntarySwitches() const { return number("status", "voluntary_ctxt_switches"); }

 private:
  std::int64_t number(const std::string& file, const std::string& field) const;

  pid_t id_ = -1;
};

/// Never returns.
[[noreturn]] void exec(const std::vector<std::string>& command);

/// The service manager's end of sd_notify(3), to wait until a daemon is ready.
class ReadySocket {
 public:
  ReadySocket();
  ~ReadySocket();
  ReadySocket(const ReadySocket&) = delete;
  ReadySocket& operator=(const ReadySocket&) = delete;
  const std::string& path() const { return path_; }
  /// Waits until READY=1.
  void await(int seconds) const;

 private:
  std::string path_;
  os::Fd socket_;
};

/// A one-byte signal from a forked process to its parent.
class Gate {
 public:
  Gate();
  void open() const;
  void await() const;

 private:
  os::Fd reading_, writing_;
};

}  // namespace wgsteer::bench
