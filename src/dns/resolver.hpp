// SPDX-License-Identifier: GPL-2.0-or-later
// Resolves host names with c-ares, asynchronously: call resolve(), watch the one descriptor, get called back.
//
// Threading: one thread. Failure: by name and family, as values; a name server that does not answer costs at most
// `timeout` plus twice that, for each server.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "wgsteer/core/address.hpp"
#include "wgsteer/core/ids.hpp"
#include "wgsteer/core/refresh.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::dns {

struct ResolverOptions {
  std::string resolvConf = "/etc/resolv.conf";
  /// Empty: those of resolvConf, or this host if that names none. Set for a WAN whose servers are known, together with
  /// `device`.
  std::vector<Address> servers;
  /// SO_MARK and SO_BINDTODEVICE of every query to a server that is not on this host; 0 and "" for none.
  Mark mark;
  IfName device;
  /// Whether an address is one of this host's: then no peer has it, and a name server there is queried without mark and
  /// device.
  std::function<bool(const Address&)> isOwn;
  std::chrono::milliseconds timeout{2000};  ///< of the first of two attempts at each server
};

enum class Families : std::uint8_t { v4, v6, both };

/// Of two families' failures the later kind is reported.
enum class ResolveFailure : std::uint8_t {
  noSuchName,     ///< NXDOMAIN
  noData,         ///< the name exists, but has no such addresses
  refused,        ///< hostile or nonsense, or nothing but unusable addresses
  serverFailure,  ///< SERVFAIL, REFUSED, no server reachable
  timeout,
};
/// Whether it is a fact about the name, which other servers would confirm.
constexpr bool isCertain(ResolveFailure kind) {
  return kind == ResolveFailure::noSuchName || kind == ResolveFailure::noData;
}

struct ResolveError {
  ResolveFailure kind = ResolveFailure::noSuchName;
  std::string what;  ///< without the name
};

struct Resolved {
  ResolvedName name;               ///< at least one address
  std::vector<std::string> notes;  ///< addresses that were refused, a family without an answer, and why
};

using ResolveResult = std::expected<Resolved, ResolveError>;

class Resolver {
 public:
  using Callback = std::function<void(const ResolveResult&)>;

  /// ErrorKind::config for servers that cannot be read, io for anything else.
  static Result<Resolver> create(ResolverOptions options);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  Resolver(Resolver&&) noexcept;
  Resolver& operator=(Resolver&&) noexcept;
  ~Resolver();  ///< no callbacks are called afterwards; may run within a callback

  /// Calls back from process(), exactly once. /etc/hosts first, as getaddrinfo(3) does, then DNS. Search domains are
  /// for names without a dot. The callback may call resolve() or reload(), or destroy the resolver.
  void resolve(std::string name, Families families, Callback callback);
  /// resolv.conf has been replaced, or the network has changed: repeats all pending queries. If it cannot be read,
  /// everything stays as it was.
  Status reload();

  /// Why resolv.conf is not used, in which case this host is the server; empty if it is used.
  const std::string& trouble() const;

  /// Readable when process() has something to do.
  int descriptor() const;
  void process();

 private:
  class Impl;
  explicit Resolver(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  ///< process() holds it as well
};

}  // namespace wgsteer::dns
