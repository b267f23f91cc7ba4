// SPDX-License-Identifier: GPL-2.0-or-later
// The addresses that `explain` is given.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "wgsteer/core/address.hpp"

namespace wgsteer::cli {

/// An address with or without a port; without, 0.
std::optional<Endpoint> endpointIn(const std::string& text);

/// Whether a protocol with ports may have been named.
enum class SourcePorts : std::uint8_t { no, yes };

/// The source of a packet to a destination of this family, or what is wrong with it.
std::expected<Endpoint, std::string> sourceIn(const std::string& text, Family family, SourcePorts ports);

}  // namespace wgsteer::cli
