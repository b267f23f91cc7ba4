// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/wan_request.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace wgsteer {

namespace {

std::string textOf(const nlohmann::json& request, const char* member) {
  const auto found = request.find(member);
  return found != request.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

bool isControl(char letter) { return static_cast<unsigned char>(letter) < ' ' || letter == '\x7f'; }

}  // namespace

Result<WanRequest> readWanRequest(const nlohmann::json& request, const std::set<std::string>& known) {
  WanRequest read{.name = textOf(request, "name"), .decision = {}};
  const std::string use = textOf(request, "use");
  const std::string reason = textOf(request, "reason");
  if (!known.contains(read.name)) {
    std::string names;
    for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
    return fail(ErrorKind::refused,
                "no such WAN: " + read.name + " (known: " + (names.empty() ? "none yet" : names) + ")");
  }
  if (use != "up" && use != "down" && use != "auto")
    return fail(ErrorKind::refused, "expected up, down or auto, not \"" + use + "\"");
  if (reason.size() > kMaxReason || std::ranges::any_of(reason, isControl))
    return fail(ErrorKind::refused, "a reason must be one line of at most " + std::to_string(kMaxReason) +
                                        " bytes without control characters");
  if (use != "auto") read.decision = WanOverride{.up = use == "up", .reason = reason};
  return read;
}

}  // namespace wgsteer
