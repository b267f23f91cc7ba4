// SPDX-License-Identifier: GPL-2.0-or-later
// A change that the kernel refused, for people.
#pragma once

#include <string>

#include "wgsteer/core/describe.hpp"
#include "wgsteer/core/plan.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer {

/// The change and why it failed, in one line: with device names, and without repeating the operation, with which errors
/// of the kernel begin as well.
std::string failureText(const Change& change, const Error& error, const DeviceName& names);

}  // namespace wgsteer
