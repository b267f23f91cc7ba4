// SPDX-License-Identifier: GPL-2.0-or-later
// Any line as a request to the control socket: a request, or an error that can be told in JSON.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "control/control_request.hpp"
#include "daemon/wan_request.hpp"

using namespace wgsteer;

namespace {

/// What the daemon would send; dump() throws if it is not UTF-8.
void tell(const Error& error) {
  if (error.what.empty()) std::abort();
  if (nlohmann::json{{"ok", false}, {"error", error.what}}.dump().find('\n') != std::string::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto request = readRequest({reinterpret_cast<const char*>(data), size});
  if (!request) {
    tell(request.error());
    return 0;
  }
  const auto wan = readWanRequest(*request, {"fiber", "lte"});
  if (!wan)
    tell(wan.error());
  else if (wan->decision && wan->decision->reason.size() > kMaxReason)
    std::abort();
  return 0;
}
