// SPDX-License-Identifier: GPL-2.0-or-later
// Keys that are easily distinguished.
#pragma once

#include <string>

#include "wgsteer/core/ids.hpp"

namespace wgsteer::config::test {

/// Base64 of 32 bytes, mostly of one letter. The last one is 'A', because its low bits must be zero.
inline std::string keyText(char letter) { return std::string(42, letter) + "A="; }
inline PublicKey key(char letter) { return *PublicKey::parse(keyText(letter)); }

}  // namespace wgsteer::config::test
