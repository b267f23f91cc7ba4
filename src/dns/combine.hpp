// SPDX-License-Identifier: GPL-2.0-or-later
// Combines the answers to both queries for a name into one result.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "dns/answer.hpp"
#include "dns/resolver.hpp"

namespace wgsteer::dns {

using FamilyResult = std::expected<Records, ResolveError>;

/// `aresStatus`: a status of c-ares other than success. `socketError`: what kept queries from leaving, if anything did.
ResolveError failureOf(int aresStatus, const std::string& socketError);

/// Omits addresses that no peer can have, and says so in the result.
ResolveResult combine(const std::map<Family, FamilyResult>& results, const std::function<bool(const Address&)>& isOwn);

}  // namespace wgsteer::dns
