// SPDX-License-Identifier: GPL-2.0-or-later
// Chooses the abstract name under which a daemon listens, and ensures that it is the only one in its network namespace.
//
// Any user may bind an abstract name, so @wgsteer may be taken. A daemon then listens as
// @wgsteer.NUMBER, which is unpredictable, and is found by its owner: of all such names that /proc/net/unix
// lists, one whose listener is root (SO_PEERCRED) is a daemon, and nobody else can pretend to be.
#pragma once

#include <string>
#include <vector>

#include "wgsteer/result.hpp"

#include "os/fd.hpp"

namespace wgsteer {

struct ControlListener {
  os::Fd socket;
  bool underOwnName = true;  ///< @wgsteer; otherwise another user holds that
  std::string name;          ///< without the '@'
};

/// ErrorKind::alreadyThere when another daemon runs in this network namespace; io otherwise.
Result<ControlListener> listenAsDaemon(int backlog);

/// @wgsteer, without looking for other daemons: for a daemon that is already listening. An error while the name is
/// taken.
Result<ControlListener> listenUnderOwnName(int backlog);

/// A connection to the daemon, blocking. ErrorKind::notThere when none runs; busy: it accepts no more clients.
Result<os::Fd> connectToDaemon();

}  // namespace wgsteer
