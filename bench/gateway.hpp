// SPDX-License-Identifier: GPL-2.0-or-later
// A gateway between a LAN and the Internet, and what it costs per packet that it forwards.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "frames.hpp"
#include "process.hpp"
#include "wans.hpp"

namespace wgsteer::bench {

/// A gateway with two WANs, a host in its LAN, and the Internet behind the WANs, all by veth. Frames are written
/// directly to the device of the host or of the Internet, so that little more than the forwarding is measured. At the
/// other end their kernel counts them, and drops them at once because they carry another MAC address.
class Gateway {
 public:
  static constexpr Mac kHostSide{2, 0, 0, 0, 0, 1}, kLanSide{2, 0, 0, 0, 0, 2}, kNobody{2, 0, 0, 0, 0, 3},
      kWanSide{2, 0, 0, 0, 1, 0};  ///< of wan0
  static constexpr const char* kHosts4 = "10.9.0.0/16";
  static constexpr const char* kHosts6 = "fd09::/64";
  static Address host(Family family, int number);  ///< in its LAN, from 0; 0 to 59999
  static Address wan(Family family, int number);   ///< the gateway's own there

  /// `prepare` makes of it the gateway that is to be measured.
  explicit Gateway(const std::function<void(const Netns&)>& prepare);
  const Netns& netns() const { return gateway_; }

  enum class Side { lan, internet };
  /// Sends frames from there. Thread CPU time of one of them, ns: the forwarding runs in the sender's context.
  double cost(Side side, std::span<const Frame> frames);
  /// Dies unless all frames have arrived: a dropped packet would be cheap.
  void checkArrivals() const;

 private:
  void wire();
  static os::Fd packetSocket(const Netns& netns, const std::string& device);
  std::int64_t arrived() const;

  Netns host_, gateway_, internet_;
  Process hostHolder_, internetHolder_;
  os::Fd fromHost_, fromInternet_;
  std::int64_t sent_ = 0, arrivedBefore_ = 0;
};

}  // namespace wgsteer::bench
