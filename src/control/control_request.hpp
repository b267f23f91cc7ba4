// SPDX-License-Identifier: GPL-2.0-or-later
// A line from a client of the control socket (control_socket.hpp).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "wgsteer/result.hpp"

namespace wgsteer {

/// An object with the member "request", a string, in our version of the protocol; ErrorKind::refused with the reason.
Result<nlohmann::json> readRequest(std::string_view line);

}  // namespace wgsteer
