// SPDX-License-Identifier: GPL-2.0-or-later
#include "dns/combine.hpp"

#include <algorithm>
#include <ares.h>
#include <optional>

namespace wgsteer::dns {

namespace {

std::string_view recordOf(Family family) { return family == Family::v4 ? "A" : "AAAA"; }

/// Removes unusable addresses and adds notes about them.
void filter(Records& records, const std::function<bool(const Address&)>& isOwn, std::vector<std::string>& notes) {
  std::erase_if(records.addresses, [&](const Address& address) {
    auto why = whyUnusable(address);
    if (!why && isOwn && isOwn(address)) why = "an address of this host";
    if (why) notes.push_back(address.toString() + ": rejected: " + std::string{*why});
    return why.has_value();
  });
}

}  // namespace

ResolveError failureOf(int aresStatus, const std::string& socketError) {
  switch (aresStatus) {
    case ARES_ENOTFOUND:
      return {ResolveFailure::noSuchName, "no such name"};
    case ARES_EBADNAME:
      return {ResolveFailure::noSuchName, "not a valid DNS name"};
    case ARES_ENODATA:
      return {ResolveFailure::noData, "no address"};
    case ARES_ETIMEOUT:
      return {ResolveFailure::timeout, "no answer in time"};
    case ARES_EBADRESP:
      return {ResolveFailure::refused, "malformed answer"};
    default:
      return {ResolveFailure::serverFailure, socketError.empty() ? ares_strerror(aresStatus) : socketError};
  }
}

ResolveResult combine(const std::map<Family, FamilyResult>& results, const std::function<bool(const Address&)>& isOwn) {
  Resolved resolved;
  ResolveError worst;
  std::optional<std::uint32_t> ttl;
  for (const auto& [family, result] : results) {
    std::optional<ResolveError> error;
    if (!result) {
      error = {result.error().kind, std::string{recordOf(family)} + ": " + result.error().what};
    } else {
      Records records = *result;
      std::vector<std::string> refused;
      filter(records, isOwn, refused);
      if (records.addresses.empty())
        error = {ResolveFailure::refused, refused.front() + (refused.size() > 1 ? ", and so are all others" : "")};
      else
        ttl = std::min(ttl.value_or(records.ttl), records.ttl);
      // IPv4 comes first, and each is sorted.
      resolved.name.addresses.insert(resolved.name.addresses.end(), records.addresses.begin(), records.addresses.end());
      resolved.notes.insert(resolved.notes.end(), refused.begin(), refused.end());
    }
    if (!error) continue;
    if (worst.what.empty() || error->kind > worst.kind) worst = *error;
    if (isCertain(error->kind)) continue;  // this is an answer, too
    resolved.name.unanswered = family;
    if (!result) resolved.notes.push_back(error->what);
  }
  if (resolved.name.addresses.empty()) return std::unexpected(worst);
  resolved.name.ttl = std::chrono::seconds{ttl.value_or(0)};
  return resolved;
}

}  // namespace wgsteer::dns
