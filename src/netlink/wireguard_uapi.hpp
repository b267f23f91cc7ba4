// SPDX-License-Identifier: GPL-2.0-or-later
// User-space WireGuard (wireguard-go, boringtun, amneziawg-go) through its sockets:
// https://www.wireguard.com/xplatform/.
//
// A process that hangs holds nobody up. All are asked at once and waited for together; one that has not answered in
// time is not waited for again until it does. What it has been asked stays asked: its answer is taken when it comes.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/uapi_folders.hpp"
#include "wgsteer/core/world.hpp"
#include "wgsteer/result.hpp"

#include "netlink/uapi_conversation.hpp"
#include "netlink/uapi_text.hpp"

namespace wgsteer::netlink {

class WireGuardUapi {
 public:
  /// Without a first look there is nothing to fall back on, so it may last longer.
  static constexpr std::chrono::milliseconds kFirstPatience{500};
  static constexpr std::chrono::milliseconds kPatience{100};

  explicit WireGuardUapi(std::vector<std::string> folders = {kUapiFolders.begin(), kUapiFolders.end()})
      : folders_(std::move(folders)) {}

  using Answers = std::map<IfName, Result<Tunnel>>;
  /// What the processes of these devices answer. notThere without a socket, or when nobody listens on it any more;
  /// refused when it is another user's, or the process says so; busy when there is no answer (yet). What is known of
  /// other devices is forgotten.
  Answers read(const std::map<IfName, IfIndex>& devices);

  Status setFwmark(const IfName& device, Mark fwmark);
  /// Of a peer that is there; another one is not made.
  Status setEndpoint(const IfName& device, const PublicKey& peer, const Endpoint& endpoint);
  /// wireguard-go keeps sending by a link that is down until its handshake is tried again after 15 s: it hears of IPv4
  /// routes that go, but link down takes them silently; and it does nothing when the fwmark is set to what it is. So
  /// another mark is set for a moment, one that rules cannot tell from it; where there is none, the socket is opened
  /// again. Nobody waits for the answer: a refusal is in refusals() after the next look.
  Status unstick(const IfName& device, Mark fwmark, std::optional<Mark> equivalent, std::uint16_t listenPort);

  /// What processes have refused to do, until they do something again.
  std::map<IfName, std::string> refusals() const;
  /// Of conversations that are still under way after a look: when one of them becomes readable, another look is due.
  std::vector<int> pending() const;
  /// The number of the device's socket file, 0 if there is none: another one is another process's.
  std::uint64_t socketOf(const IfName& device) const;

 private:
  struct Process {
    IfIndex link;
    std::vector<UapiSocket> sockets;  ///< in the order of the folders
    std::unique_ptr<UapiConversation> get;
    bool waitedForStart = false;  ///< of what `get` answers; one that begins late is waited for once more
    bool waitedForRest = false;
    std::unique_ptr<UapiConversation> set;
    std::string setWhat;
    std::string unstickDue;  ///< the request; what has been set before is still to be answered
    bool prompt = true;      ///< is waited for
    int late = 0;            ///< answers in a row that nobody could wait for
    std::string refusal;
  };

  void find(const IfName& device, Process& process) const;
  static Result<std::unique_ptr<UapiConversation>> begin(const Process& process, std::string_view request,
                                                         const std::string& what);
  static Status ask(const IfName& device, Process& process);
  static bool mayWait(Process& process);
  Result<Tunnel> take(const IfName& device, Process& process) const;
  std::chrono::nanoseconds patience() const { return looked_ ? kPatience : kFirstPatience; }
  static Status takeSet(Process& process);
  static void settle(Process& process);
  static Status sendUnstick(const IfName& device, Process& process);
  Status set(const IfName& device, const std::string& lines, const std::string& what);

  std::vector<std::string> folders_;
  std::map<IfName, Process> processes_;
  bool looked_ = false;
};

}  // namespace wgsteer::netlink
