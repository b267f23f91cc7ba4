// SPDX-License-Identifier: GPL-2.0-or-later
// Host names to addresses, with c-ares, without waiting: ask, watch the one descriptor, be called.
//
// Threading: one thread. Failure: by name and family, as values; a name server that does not answer costs no more than
// `timeout` and twice that, for each server there is.
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
  /// Empty: those of resolvConf, which is this host if it names none. For a WAN whose servers are known, together with
  /// `device`.
  std::vector<Address> servers;
  /// SO_MARK and SO_BINDTODEVICE of every query to a server that is not on this host; 0 and "" for none.
  Mark mark;
  IfName device;
  /// Whether an address is one of this host's: no peer has it, and a name server there is used as it is.
  std::function<bool(const Address&)> isOwn;
  std::chrono::milliseconds timeout{2000};  ///< of the first of two attempts at each server
};

enum class Families : std::uint8_t { v4, v6, both };

/// From what is sure about the name to what may pass; of two families' failures the later one is told.
enum class ResolveFailure : std::uint8_t {
  noSuchName,     ///< NXDOMAIN
  noData,         ///< the name is there, but has no such addresses
  refused,        ///< hostile or nonsense, or nothing but unusable addresses
  serverFailure,  ///< SERVFAIL, REFUSED, no server reachable
  timeout,
};

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
  ~Resolver();  ///< calls nobody any more, also from within a callback

  /// Calls back from process(), exactly once. /etc/hosts first, as getaddrinfo(3) does, then DNS. Search domains are
  /// for names without a dot. The callback may ask again, reload, and destroy the resolver.
  void resolve(std::string name, Families families, Callback callback);
  /// resolv.conf has been replaced, or the network has changed: what is being asked is asked anew. If it cannot be
  /// read, all stays as it was.
  Status reload();

  /// What is wrong with resolv.conf, so that it is not read; empty if nothing. The servers are this host then.
  const std::string& trouble() const;

  /// Readable when process() has something to do.
  int descriptor() const;
  void process();

 private:
  class Impl;
  explicit Resolver(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  ///< held by process() as well
};

}  // namespace wgsteer::dns
