// SPDX-License-Identifier: GPL-2.0-or-later
// Address and protocol of the control socket: unix(7), abstract, so that there is one per network namespace and its
// name disappears with the process. One JSON object per line in each direction:
//
//   {"version":1,"request":"status"}   ->   {"version":1,"ok":true,"status":{...}}
//   {"version":1,"request":"reload"}   ->   {"version":1,"ok":false,"error":"wgsteer.toml:3: ..."}
//
// control_access.hpp says who may connect, control_name.hpp what happens when the name is taken.
#pragma once

#include <cstddef>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace wgsteer {

inline constexpr std::string_view kControlName = "wgsteer";
inline constexpr int kControlVersion = 1;
inline constexpr std::size_t kMaxRequest = 4096;

struct ControlAddress {
  sockaddr_un address{};
  socklen_t length = 0;
};

/// `name`: kControlName, or what control_name.hpp makes of it.
inline ControlAddress controlAddress(std::string_view name = kControlName) {
  ControlAddress made;
  made.address.sun_family = AF_UNIX;
  // The leading zero byte makes it abstract.
  const std::size_t length = name.copy(made.address.sun_path + 1, sizeof made.address.sun_path - 1);
  made.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  return made;
}

}  // namespace wgsteer
