// SPDX-License-Identifier: GPL-2.0-or-later
// The program that restarts this process when it has ended.
#pragma once

#include <string>
#include <string_view>

namespace wgsteer::os {

struct ServiceManager {
  std::string name;  ///< "systemd", "procd"; empty: none known
  std::string unit;  ///< systemd's name for this process: "wgsteer.service"
};

/// The service manager of this process.
ServiceManager serviceManager();

/// The unit that the text of /proc/PID/cgroup names; empty when it names none.
std::string unitOf(std::string_view cgroups);

}  // namespace wgsteer::os
