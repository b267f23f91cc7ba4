// SPDX-License-Identifier: GPL-2.0-or-later
// OpenWrt's UCI files, read as libuci reads them (its file.c; the cases of tests/config/uci_test.cpp were tried with
// it).
#pragma once

#include <span>
#include <string_view>

#include "config/sections.hpp"

namespace wgsteer::config {

/// The sections in order; a section that is named twice appears at its first position. What libuci refuses in strict
/// mode (as the `uci` command and LuCI use it) goes to `problems`; the sections are what lenient mode makes of the same
/// text, as for netifd and shell scripts: the rest of such a line is skipped. A strict caller uses no sections unless
/// `problems` is empty. Problems never quote a value: /etc/config/network contains private keys.
Sections readUci(std::string_view text, Problems& problems);

/// The same, but options that are not in `wanted` are left out, and nothing of them stays in memory.
Sections readUci(std::string_view text, Problems& problems, std::span<const std::string_view> wanted);

/// Whether the first line that is neither empty nor a comment is a UCI line.
bool looksLikeUci(std::string_view text);

}  // namespace wgsteer::config
