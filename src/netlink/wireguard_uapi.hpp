// SPDX-License-Identifier: GPL-2.0-or-later
// User-space WireGuard (wireguard-go, boringtun, amneziawg-go) through its sockets:
// https://www.wireguard.com/xplatform/.
//
// A process that hangs delays nobody. All are queried at once and waited for together; one that has not answered in
// time is not waited for again until it does. Its request stays pending, and its answer is processed when it arrives.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/time.hpp"
#include "wgsteer/core/uapi_folders.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

#include "netlink/uapi_conversation.hpp"
#include "netlink/uapi_text.hpp"

namespace wgsteer::netlink {

class WireGuardUapi {
 public:
  /// Before the first answer there is nothing to fall back on, so the first look may take longer.
  static constexpr std::chrono::milliseconds kFirstPatience{500};
  static constexpr std::chrono::milliseconds kPatience{100};

  explicit WireGuardUapi(std::vector<std::string> folders = {kUapiFolders.begin(), kUapiFolders.end()})
      : folders_(std::move(folders)) {}

  using Answers = std::map<IfName, Result<Tunnel>>;
  /// The answers of these devices' processes. notThere: no socket, or nobody listens on it any more; refused: it
  /// belongs to another user, or the process refuses; busy: no answer (yet). Forgets everything about other devices.
  Answers read(const std::map<IfName, IfIndex>& devices);

  /// As the process says now.
  Result<Mark> fwmark(const IfName& device);
  Status setFwmark(const IfName& device, Mark fwmark);
  /// Only for an existing peer; none is created.
  Status setEndpoint(const IfName& device, const PublicKey& peer, const Endpoint& endpoint);
  /// Clears cached sources. wireguard-go keeps sending by a link that is down until its handshake is retried after 15
  /// s: it listens for deleted IPv4 routes, but link down removes them silently; and it does nothing if the fwmark is
  /// set to its current value. So another mark is set for a moment, one that rules cannot tell from it; if there is
  /// none, the socket is reopened. Does not wait for the answer: a refusal is in refusals() after the next look.
  Status clearSources(const IfName& device, Mark fwmark, std::optional<Mark> equivalent, std::uint16_t listenPort);

  /// What processes have refused, until they accept something again.
  std::map<IfName, std::string> refusals() const;
  /// Descriptors of conversations still in progress after a look, by device.
  std::map<IfName, int> pending() const;
  /// The inode of the device's socket file, 0 if there is none: another one belongs to another process.
  std::uint64_t socketOf(const IfName& device) const;

 private:
  struct Process {
    IfIndex link;
    std::vector<UapiSocket> sockets;  ///< in the order of the folders
    std::unique_ptr<UapiConversation> get;
    bool waitedForStart = false;  ///< for the answer to `get`; one that begins late is waited for once more
    bool waitedForRest = false;
    std::unique_ptr<UapiConversation> set;
    std::string setWhat;
    std::string clearingDue;  ///< the request, while an earlier setting is unanswered
    bool prompt = true;       ///< whether it is waited for
    int late = 0;             ///< number of answers in a row that came too late
    std::string refusal;
  };

  /// `here` is filled by the first device that has a new socket.
  void find(const IfName& device, Process& process, std::optional<SocketsHere>& here) const;
  Process& found(const IfName& device);
  static Result<std::unique_ptr<UapiConversation>> begin(const Process& process, std::string_view request,
                                                         const std::string& what);
  static Status ask(const IfName& device, Process& process);
  static bool mayWait(Process& process);
  Result<Tunnel> take(const IfName& device, Process& process) const;
  Duration patience() const { return looked_ ? kPatience : kFirstPatience; }
  static Status takeSet(Process& process);
  static void settle(Process& process);
  static Status sendClearing(const IfName& device, Process& process);
  Status set(const IfName& device, const std::string& lines, const std::string& what);

  std::vector<std::string> folders_;
  std::map<IfName, Process> processes_;
  bool looked_ = false;
};

}  // namespace wgsteer::netlink
