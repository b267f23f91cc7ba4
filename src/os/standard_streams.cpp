// SPDX-License-Identifier: GPL-2.0-or-later
#include "os/standard_streams.hpp"

#include <cerrno>
#include <fcntl.h>
#include <initializer_list>
#include <unistd.h>

namespace wgsteer::os {

void holdStandardStreams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    // open() returns the lowest free number, so this one.
    if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF && open("/", O_PATH | O_DIRECTORY) != descriptor) return;
}

}  // namespace wgsteer::os
