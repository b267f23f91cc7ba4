// SPDX-License-Identifier: GPL-2.0-or-later
// Errors as values. No exception crosses a layer.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace wgsteer {

enum class ErrorKind : std::uint8_t {
  alreadyThere,  ///< EEXIST: it exists, but may not be ours: read it
  notThere,      ///< ENOENT, ESRCH, ENODEV: gone, or its device is
  refused,       ///< EPERM, EINVAL, EOPNOTSUPP: retrying will not help
  busy,          ///< EAGAIN, EBUSY, EINTR, ENOMEM: retrying will help
  overrun,       ///< ENOBUFS, truncation, an interrupted dump: read everything again
  malformed,     ///< bytes or text that cannot be parsed
  io,            ///< any other error of a system call
  config,        ///< the user's configuration; `what` says file:line: option: what is wrong, what is allowed
};

struct Error {
  ErrorKind kind = ErrorKind::io;
  int code = 0;  ///< errno, 0 if none
  /// Operation and object in the spelling of `ip`, `nft` or `wg`, then why: complete, fit to be shown.
  std::string what;
  std::string kernelSays;  ///< the extended ack of the kernel, if it sent one

  std::string toString() const { return kernelSays.empty() ? what : what + " (kernel: " + kernelSays + ")"; }
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string what, int code = 0, std::string kernelSays = {}) {
  return std::unexpected(Error{kind, code, std::move(what), std::move(kernelSays)});
}

}  // namespace wgsteer
