// SPDX-License-Identifier: GPL-2.0-or-later
// The netfilter chains of other programs as plain values: what their rules test, and what they do to a packet. A rule
// is a list of steps over registers, as in the kernel's nf_tables machine; matches and targets of xtables are
// translated into the same steps. What this program does not model is recorded as "may match" or "may end here", never
// left out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "wgsteer/core/ids.hpp"

namespace wgsteer::firewall {

using Bytes = std::vector<std::uint8_t>;

/// Words of four bytes: the kernel's sixteen, and four more for what xtables does without registers.
using Register = std::uint8_t;
inline constexpr std::size_t kWordSize = 4;
inline constexpr std::size_t kRegisters = 20;
inline constexpr Register kScratch = 16;

/// Integers are in the byte order of the kernel's registers: the host's, except for `etherType` and payloads.
enum class Field : std::uint8_t {
  mark,
  connectionMark,
  connectionState,
  connectionStatus,
  cgroup,  ///< net_cls: the class of the sending process
  inputIndex,
  outputIndex,
  inputName,
  outputName,
  nfProtocol,
  l4Protocol,
  etherType,
};

/// Bits of Field::connectionState: NF_CT_STATE_BIT() in the kernel.
inline constexpr std::uint32_t kEstablished = 1U << 1U;
inline constexpr std::uint32_t kNew = 1U << 3U;

/// Bits of Field::connectionStatus: IPS_SRC_NAT and IPS_DST_NAT.
inline constexpr std::uint32_t kTranslated = 1U << 4U | 1U << 5U;

struct LoadField {
  Field field = Field::mark;
  Register to = 0;
  bool operator==(const LoadField&) const = default;
};

enum class Header : std::uint8_t { network, transport };

struct LoadPayload {
  Header header = Header::network;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  Register to = 0;
  bool operator==(const LoadPayload&) const = default;
};

/// A lookup in the routing tables: the `fib` expression, the `rpfilter` and `addrtype` matches.
struct LoadRoute {
  enum class Result : std::uint8_t { index, name, type, present };
  bool ofSource = true;  ///< otherwise of the destination
  bool withMark = false;
  bool byInput = false;       ///< found only if it leads back out of the device on which the packet arrived
  bool prefersInput = false;  ///< that device is tried first (rpfilter of IPv6)
  Result result = Result::index;
  Register to = 0;
  bool operator==(const LoadRoute&) const = default;
};

struct LoadValue {
  Bytes value;
  Register to = 0;
  bool operator==(const LoadValue&) const = default;
};

/// Loads a value that cannot be known here, or that this program does not model.
struct LoadUnknown {
  std::string what;
  Register to = 0;
  bool mayBeMark = false;  ///< it may be made of the mark of the packet or of its connection
  bool operator==(const LoadUnknown&) const = default;
};

/// to = (from & mask) ^ toggled
struct MaskXor {
  Register from = 0;
  Register to = 0;
  Bytes mask;
  Bytes toggled;
  bool operator==(const MaskXor&) const = default;
};

/// to = (one & oneMask) ^ (other & otherMask): what CONNMARK does between a packet and its connection.
struct Combine {
  Register to = 0;
  Register one = 0;
  std::uint32_t oneMask = 0;
  Register other = 0;
  std::uint32_t otherMask = 0;
  bool operator==(const Combine&) const = default;
};

enum class Relation : std::uint8_t { equal, notEqual, less, lessOrEqual, greater, greaterOrEqual };

struct Compare {
  Register from = 0;
  Relation relation = Relation::equal;
  Bytes value;
  bool operator==(const Compare&) const = default;
};

struct Within {
  Register from = 0;
  Bytes first;
  Bytes last;
  bool inverted = false;
  bool operator==(const Within&) const = default;
};

struct Verdict {
  enum class Kind : std::uint8_t {
    accept,
    drop,
    reject,
    jump,
    goto_,
    return_,
    next,    ///< continues with the next rule
    mayEnd,  ///< a queue, or an unknown target
  };
  Kind kind = Kind::accept;
  std::string chain;  ///< for jump and goto; for mayEnd, the name of what it is
  bool operator==(const Verdict&) const = default;
};

/// The elements of a small anonymous set, in the order of their keys.
struct Set {
  struct Element {
    Bytes key;
    bool endsInterval = false;  ///< this key is the first one beyond the preceding interval
    Bytes data;                 ///< of a map
    std::optional<Verdict> verdict;
  };
  std::vector<Element> elements;
  std::optional<Element> forOthers;  ///< the catch-all `*`
  bool intervals = false;
};

struct Lookup {
  std::string name;
  Register from = 0;
  std::optional<Register> to;  ///< of a map
  bool verdicts = false;       ///< a map to verdicts
  bool inverted = false;
  std::shared_ptr<const Set> set;  ///< null: a named or a large set, whose elements were not read
  bool operator==(const Lookup&) const = default;
};

struct StoreMark {
  Register from = 0;
  bool ofConnection = false;
  bool operator==(const StoreMark&) const = default;
};

/// The packet is no longer tracked.
struct Untrack {
  bool operator==(const Untrack&) const = default;
};

/// The connection gets other addresses or ports.
struct Translate {
  bool operator==(const Translate&) const = default;
};

/// A condition that is not modelled.
struct MayMatch {
  std::string what;
  bool operator==(const MayMatch&) const = default;
};

using Step = std::variant<LoadField, LoadPayload, LoadRoute, LoadValue, LoadUnknown, MaskXor, Combine, Compare, Within,
                          Lookup, StoreMark, Untrack, Translate, MayMatch, Verdict>;

struct Rule {
  std::vector<Step> steps;
};

enum class TableFamily : std::uint8_t { ip, ip6, inet };
enum class HookPoint : std::uint8_t { prerouting, input, forward, output, postrouting };

struct Hook {
  HookPoint point = HookPoint::output;
  std::int32_t priority = 0;
  bool routes = false;      ///< of type route: a changed mark makes the kernel route the packet again
  bool translates = false;  ///< of type nat: only the first packet of a connection passes
  bool accepts = true;      ///< by its policy
};

struct Chain {
  TableFamily family = TableFamily::inet;
  std::string table;
  std::string name;
  std::optional<Hook> hook;
  std::vector<Rule> rules;
};

/// All chains but ours.
struct Firewall {
  std::vector<Chain> chains;
  /// Tables of iptables-legacy, which only iptables-legacy itself can read: {ip, "filter"}.
  std::vector<std::pair<TableFamily, std::string>> legacyTables;
  /// Flowtables whose connections network cards forward: "inet fw4, flowtable ft".
  std::vector<std::string> hardwareFlowtables;
};

/// "ip mangle", as nft has it.
std::string nameOf(TableFamily family, const std::string& table);
std::string nameOf(const Chain& chain);
/// The rule, roughly as nft would print it: "oifname != "wg0" meta mark != 0x0000ca6c reject".
std::string gist(const Rule& rule);

}  // namespace wgsteer::firewall
