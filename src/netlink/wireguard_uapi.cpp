// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/wireguard_uapi.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "os/timer.hpp"

namespace wgsteer::netlink {

namespace {

constexpr const char* kSilent = ": its process does not answer";
constexpr int kOftenLate = 2;

bool isUnderWay(const std::unique_ptr<UapiConversation>& conversation) {
  return conversation && conversation->state() == UapiConversation::State::underWay;
}

/// Ends the conversation if the socket of its process no longer exists.
void dropStale(std::unique_ptr<UapiConversation>& conversation, const std::vector<UapiSocket>& sockets) {
  if (conversation && std::ranges::find(sockets, conversation->socket()) == sockets.end()) conversation.reset();
}

}  // namespace

/// Looks for the device's sockets; if they have changed, it is another process, about which nothing is known.
void WireGuardUapi::find(const IfName& device, Process& process, std::optional<SocketsHere>& here) const {
  std::vector<UapiSocket> sockets;
  for (const std::string& folder : folders_)
    if (auto socket = uapiSocketAt(folder + "/" + device + ".sock")) sockets.push_back(std::move(*socket));
  if (sockets == process.sockets) return;
  // Network namespaces may share the folder: the socket of a tunnel with that name in another namespace is not ours.
  if (!sockets.empty() && !here) here = SocketsHere::look();
  if (!sockets.empty() && !here->have(device + ".sock")) sockets.clear();
  if (sockets == process.sockets) return;
  process.sockets = std::move(sockets);
  process.prompt = true;
  process.late = 0;
  process.refusal.clear();
  process.clearingDue.clear();
  dropStale(process.get, process.sockets);
  dropStale(process.set, process.sockets);
}

WireGuardUapi::Process& WireGuardUapi::found(const IfName& device) {
  Process& process = processes_[device];
  std::optional<SocketsHere> here;
  find(device, process, here);
  return process;
}

/// Connects to the socket that has a listener: a socket file in either folder may have outlived its process.
Result<std::unique_ptr<UapiConversation>> WireGuardUapi::begin(const Process& process, std::string_view request,
                                                               const std::string& what) {
  std::optional<Error> why;
  for (const UapiSocket& socket : process.sockets) {
    auto begun = UapiConversation::begin(socket, request, what);
    if (begun) return begun;
    if (!why || why->kind == ErrorKind::notThere) why = begun.error();
  }
  return std::unexpected(why.value_or(Error{ErrorKind::notThere, ENOENT, what + ": no socket", {}}));
}

/// If an answer is still outstanding, no new request is sent.
Status WireGuardUapi::ask(const IfName& device, Process& process) {
  if (process.get && process.get->advance() == UapiConversation::State::failed) process.get.reset();
  if (process.get) return {};
  auto begun = begin(process, "get=1\n\n", "wg show " + device);
  if (!begun) return std::unexpected(begun.error());
  process.get = std::move(*begun);
  process.waitedForStart = process.waitedForRest = false;
  return {};
}

/// Waits once for the beginning of an answer, and once for the rest.
bool WireGuardUapi::mayWait(Process& process) {
  if (!isUnderWay(process.get)) return false;
  const bool begins = !process.get->answer().empty();
  if (!begins && !process.prompt) return false;
  return !std::exchange(begins ? process.waitedForRest : process.waitedForStart, true);
}

/// Processes the answer, and what it says about the process. A process that hung is waited for again once it resumes,
/// but not one that is late every time.
Result<Tunnel> WireGuardUapi::take(const IfName& device, Process& process) const {
  const std::string what = "wg show " + device;
  if (isUnderWay(process.get)) {
    process.prompt = false;
    return fail(ErrorKind::busy, what + kSilent);
  }
  const auto conversation = std::exchange(process.get, nullptr);
  const bool inTime = os::monotonicNow() - conversation->begun() <= patience();
  process.late = inTime ? 0 : std::min(process.late + 1, kOftenLate);
  process.prompt = process.late < kOftenLate;
  if (conversation->state() == UapiConversation::State::answered) return parseUapi(conversation->answer(), device);
  return fail(ErrorKind::busy, what + ": its process closed the connection before a complete answer");
}

WireGuardUapi::Answers WireGuardUapi::read(const std::map<IfName, IfIndex>& devices) {
  const auto deadline = os::monotonicNow() + patience();
  std::erase_if(processes_, [&](const auto& known) {
    const auto device = devices.find(known.first);
    return device == devices.end() || (known.second.link.value != 0 && device->second != known.second.link);
  });
  Answers answers;
  std::optional<SocketsHere> here;
  std::vector<UapiConversation*> awaited;
  for (const auto& [device, link] : devices) {
    Process& process = processes_[device];
    process.link = link;
    find(device, process, here);
    settle(process);
    (void)sendClearing(device, process);  // a process that no longer listens has nothing cached
    if (auto asked = ask(device, process); !asked)
      answers.emplace(device, std::unexpected(asked.error()));
    else if (mayWait(process))
      awaited.push_back(process.get.get());
  }
  await(awaited, deadline);
  for (auto& [device, process] : processes_)
    if (!answers.contains(device)) answers.emplace(device, take(device, process));
  looked_ = true;
  return answers;
}

/// Processes the outcome of a setting; a refusal is remembered.
Status WireGuardUapi::takeSet(Process& process) {
  const auto conversation = std::exchange(process.set, nullptr);
  if (conversation->state() == UapiConversation::State::failed)
    return fail(ErrorKind::busy, process.setWhat + ": its process closed the connection without an answer");
  const Status done = parseUapiOutcome(conversation->answer(), process.setWhat);
  process.refusal = done ? std::string{} : done.error().what;
  // The answer to a pending `get` may be older than this setting.
  process.get.reset();
  return done;
}

/// Processes the answer to a setting without waiting, if it has arrived.
void WireGuardUapi::settle(Process& process) {
  if (process.set && process.set->advance() != UapiConversation::State::underWay) (void)takeSet(process);
}

/// One setting at a time: the process may handle a later one first.
Status WireGuardUapi::sendClearing(const IfName& device, Process& process) {
  if (process.clearingDue.empty() || process.set) return {};
  const std::string what = "wg set " + device + " (cached sources)";
  auto begun = begin(process, process.clearingDue, what);
  // The queue of a hanging process is full: this is done when it resumes.
  if (!begun && begun.error().kind == ErrorKind::busy) return {};
  process.clearingDue.clear();
  if (!begun) return std::unexpected(begun.error());
  process.set = std::move(*begun);
  process.setWhat = what;
  return {};
}

Status WireGuardUapi::set(const IfName& device, const std::string& lines, const std::string& what) {
  const auto deadline = os::monotonicNow() + kPatience;
  Process& process = found(device);
  if (process.set && process.prompt) await({process.set.get()}, deadline);
  settle(process);
  if (process.set) return fail(ErrorKind::busy, what + kSilent);
  auto begun = begin(process, "set=1\n" + lines + "\n", what);
  if (!begun) return std::unexpected(begun.error());
  process.set = std::move(*begun);
  process.setWhat = what;
  if (process.prompt) await({process.set.get()}, deadline);
  if (!isUnderWay(process.set)) return takeSet(process);
  process.prompt = false;
  return fail(ErrorKind::busy, what + kSilent);
}

Result<Mark> WireGuardUapi::fwmark(const IfName& device) {
  const auto deadline = os::monotonicNow() + kPatience;
  Process& process = found(device);
  // An answer that is still to come may be older.
  process.get.reset();
  if (auto asked = ask(device, process); !asked) return std::unexpected(asked.error());
  if (process.prompt) await({process.get.get()}, deadline);
  auto tunnel = take(device, process);
  if (!tunnel) return std::unexpected(std::move(tunnel.error()));
  return tunnel->fwmark;
}

Status WireGuardUapi::setFwmark(const IfName& device, Mark fwmark) {
  // It would set the old mark again; and setting another mark has the same effect.
  processes_[device].clearingDue.clear();
  return set(device, "fwmark=" + std::to_string(fwmark.value) + "\n",
             "wg set " + device + " fwmark " + hex(fwmark.value));
}

Status WireGuardUapi::setEndpoint(const IfName& device, const PublicKey& peer, const Endpoint& endpoint) {
  return set(device, "public_key=" + peer.toHex() + "\nupdate_only=true\nendpoint=" + endpoint.toString() + "\n",
             "wg set " + device + " peer " + peer.toString() + " endpoint " + endpoint.toString());
}

Status WireGuardUapi::clearSources(const IfName& device, Mark fwmark, std::optional<Mark> equivalent,
                                   std::uint16_t listenPort) {
  Process& process = found(device);
  settle(process);
  const std::string back = "fwmark=" + std::to_string(fwmark.value) + "\n";
  const std::string lines = equivalent ? "fwmark=" + std::to_string(equivalent->value) + "\n" + back
                                       : "listen_port=" + std::to_string(listenPort) + "\n";
  process.clearingDue = "set=1\n" + lines + "\n";
  return sendClearing(device, process);
}

std::map<IfName, std::string> WireGuardUapi::refusals() const {
  std::map<IfName, std::string> all;
  for (const auto& [device, process] : processes_)
    if (!process.refusal.empty()) all.emplace(device, process.refusal);
  return all;
}

std::map<IfName, int> WireGuardUapi::pending() const {
  std::map<IfName, int> descriptors;
  for (const auto& [device, process] : processes_)
    if (isUnderWay(process.get)) descriptors.emplace(device, process.get->descriptor());
  return descriptors;
}

std::uint64_t WireGuardUapi::socketOf(const IfName& device) const {
  const auto known = processes_.find(device);
  return known == processes_.end() || known->second.sockets.empty() ? 0 : known->second.sockets.back().inode;
}

}  // namespace wgsteer::netlink
