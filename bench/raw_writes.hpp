// SPDX-License-Identifier: GPL-2.0-or-later
// The writes of a plan alone: messages that lie ready are sent one after the other by a program that knows nothing.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/plan.hpp"

#include "raw.hpp"

namespace wgsteer::bench {

/// Of the namespace in which it is made.
class RawWrites {
 public:
  RawWrites();
  explicit RawWrites(const Plan& plan);

  /// After those that there are: bytes for rtnetlink, words for a tunnel's UAPI socket.
  void add(Prebuilt message) { writes_.emplace_back(ToRtnetlink{std::move(message)}); }
  void add(std::string device, std::string text) { writes_.emplace_back(ToTunnel{std::move(device), std::move(text)}); }
  void make();

 private:
  struct ToRtnetlink {
    Prebuilt message;
  };
  struct ToNetfilter {
    Prebuilt batch;
  };
  struct ToTunnel {
    std::string device, text;
  };
  using Write = std::variant<ToRtnetlink, ToNetfilter, ToTunnel, Sysctl>;

  void take(const Change& change);
  static void tell(const ToTunnel& what);

  RawSocket rtnetlink_, netfilter_;
  std::vector<Write> writes_;
};

/// What writeConfiguration() writes.
Config configuration(int wans);

}  // namespace wgsteer::bench
