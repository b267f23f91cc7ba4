// SPDX-License-Identifier: GPL-2.0-or-later
#include "control/control_request.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "control/control_socket.hpp"

namespace wgsteer {

Result<nlohmann::json> readRequest(std::string_view line) {
  auto request = nlohmann::json::parse(line, nullptr, false);
  if (!request.is_object() || !request.contains("request") || !request["request"].is_string())
    return fail(ErrorKind::refused, "malformed request, expected {\"version\":1,\"request\":NAME}");
  if (!request.contains("version") || request["version"] != kControlVersion)
    return fail(ErrorKind::refused, "unsupported version, this daemon supports " + std::to_string(kControlVersion));
  return request;
}

}  // namespace wgsteer
