// SPDX-License-Identifier: GPL-2.0-or-later
// Only the writes of a plan: prepared messages, sent one after the other by a program without any logic.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "wgsteer/core/config.hpp"
#include "wgsteer/core/plan.hpp"

#include "raw.hpp"

namespace wgsteer::bench {

/// For the namespace in which it is created.
class RawWrites {
 public:
  RawWrites();
  explicit RawWrites(const Plan& plan, const Numbers& numbers = {});

  /// Appends a write: bytes for rtnetlink, text for a tunnel's UAPI socket.
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

  Numbers numbers_;
  RawSocket rtnetlink_, netfilter_;
  std::vector<Write> writes_;
};

/// The configuration that writeConfiguration() writes.
Config configuration(int wans);

}  // namespace wgsteer::bench
