// SPDX-License-Identifier: GPL-2.0-or-later
#include "engine/failure_text.hpp"

#include <cstring>

namespace wgsteer {

std::string failureText(const Change& change, const Error& error, const DeviceName& names) {
  // Errors about routes and addresses name devices by index only. Other errors are complete; that of a transaction
  // names the element.
  const bool byIndex = std::holds_alternative<AddRoute>(change) || std::holds_alternative<DeleteRoute>(change) ||
                       std::holds_alternative<SetDeprecated>(change);
  if (!byIndex || error.code == 0) return error.toString();
  const Error named{error.kind, error.code, describe(change, names).front() + ": " + std::strerror(error.code),
                    error.kernelSays};
  return named.toString();
}

}  // namespace wgsteer
