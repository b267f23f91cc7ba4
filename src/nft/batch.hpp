// SPDX-License-Identifier: GPL-2.0-or-later
// One nft transaction as the bytes of one sendmsg(2). The kernel applies all of it or nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nft/ruleset.hpp"
#include "nft/sets.hpp"
#include "nft/traffic_sets.hpp"

namespace wgsteer::nft {

class Batch {
 public:
  explicit Batch(std::uint32_t firstSequence);

  /// By its handle: if another program's table has taken its place under the same name, that one stays.
  void deleteTable(std::uint64_t handle);
  /// The comment has to begin with kNftTableComment.
  void createTable(const std::string& comment);
  void createSet(NftSetId id);
  /// Without its elements, which may lead to chains that are not there yet.
  void createSet(const TrafficSet& set);
  void addElements(const TrafficSet& set);
  void createChain(const Chain& chain);
  void deleteChain(const std::string& name);
  void createCounter(const std::string& name);
  void deleteCounter(const std::string& name);
  /// Consecutive changes of one kind in one set share a message.
  void changeElement(bool add, const NftElement& element);

  bool empty() const { return messages_ == 1; }
  /// Closes the transaction; the last message before its end requests an acknowledgement.
  std::span<const std::byte> finish();

  /// The sequence number of the message that closes the transaction.
  std::uint32_t lastSequence() const { return nextSequence(); }
  bool addsElement(std::uint32_t sequence) const;
  /// The sequence number of the message that requests an acknowledgement.
  std::uint32_t acknowledgedSequence() const { return acknowledgedSequence_; }
  /// The object that a message is about, as nft(8) spells it. `attribute` is the offset that the kernel reports in its
  /// extended ack (0: none), which identifies the element within a message.
  std::string describe(std::uint32_t sequence, std::uint32_t attribute) const;

 private:
  nlmsghdr* begin(std::uint16_t type, std::uint16_t flags);
  void end(const nlmsghdr* message);
  void closeElements();
  void openElements(bool add, const char* set);
  void createSet(const char* name, const SetShape& shape, std::optional<std::chrono::milliseconds> timeout);
  void addRule(const std::string& chain, const Rule& rule);
  nlmsghdr* messageAt(std::size_t offset);
  const nlmsghdr* find(std::uint32_t sequence) const;
  void reserve(std::size_t more);
  std::uint32_t nextSequence() const { return firstSequence_ + messages_; }

  struct OpenElements {
    bool open = false;
    bool add = true;
    std::string set;
    std::size_t list = 0;  ///< offset of the list's attribute
  };

  std::vector<std::byte> buffer_;
  std::size_t used_ = 0;
  std::size_t last_ = 0;  ///< offset of the last message
  std::uint32_t firstSequence_;
  std::uint32_t messages_ = 0;  ///< numbered from firstSequence_
  std::uint32_t acknowledgedSequence_ = 0;
  std::uint32_t setsCreated_ = 0;
  OpenElements elements_;
};

}  // namespace wgsteer::nft
