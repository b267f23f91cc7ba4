// SPDX-License-Identifier: GPL-2.0-or-later
// OpenWrt's UCI files, read as libuci reads them (its file.c; the cases of tests/config/uci_test.cpp were tried on it).
#pragma once

#include <span>
#include <string_view>

#include "config/sections.hpp"

namespace wgsteer::config {

/// The sections in order; a section named twice stands at its first place. What libuci refuses when it is strict (as
/// the `uci` command and LuCI are) goes to `problems`; the sections are what it makes of the same text when it is
/// lenient, as for netifd and for shell scripts: the rest of such a line is skipped. Whoever wants it strict takes no
/// sections unless `problems` is empty. No problem says what a value is: there are private keys in /etc/config/network.
Sections readUci(std::string_view text, Problems& problems);

/// The same, but of options that are not among `wanted` nothing stays in memory: they are missing.
Sections readUci(std::string_view text, Problems& problems, std::span<const std::string_view> wanted);

/// Whether the first line that is neither empty nor a comment is one of UCI.
bool looksLikeUci(std::string_view text);

}  // namespace wgsteer::config
