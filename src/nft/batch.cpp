// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/batch.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "netlink/kernel_headers.hpp"

namespace wgsteer::nft {

namespace {

/// More than any message needs except a rule and a list of elements.
constexpr std::size_t kMessageRoom = 4096;
/// Of a rule: the kernel takes 128 expressions (NFT_RULE_MAXEXPRS), each with at most the name of one object.
constexpr std::size_t kRuleRoom = 32768;
/// More than any element needs: key, verdict and chain name take less than 150 bytes.
constexpr std::size_t kElementRoom = 512;
/// The length of a netlink attribute has 16 bits.
constexpr std::size_t kMaxListLength = 60000;
constexpr std::size_t kTypicalBatch = 4096;

constexpr const char* kTable = kNftTable.data();

using UserDataPtr = std::unique_ptr<nftnl_udata_buf, Releaser<nftnl_udata_buf_free>>;

UserDataPtr newUserData() { return owned<UserDataPtr>(nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN)); }

/// How nft(8) calls what a message does, and which attribute names the object; 0: the table itself.
struct Spelling {
  std::uint16_t type;
  const char* verb;
  std::uint16_t name;
};
constexpr std::array kSpellings{
    Spelling{NFT_MSG_NEWTABLE, "add table", 0},
    Spelling{NFT_MSG_DELTABLE, "delete table", 0},
    Spelling{NFT_MSG_NEWSET, "add set", NFTA_SET_NAME},
    Spelling{NFT_MSG_NEWCHAIN, "add chain", NFTA_CHAIN_NAME},
    Spelling{NFT_MSG_DELCHAIN, "delete chain", NFTA_CHAIN_NAME},
    Spelling{NFT_MSG_NEWRULE, "add rule", NFTA_RULE_CHAIN},
    Spelling{NFT_MSG_NEWOBJ, "add counter", NFTA_OBJ_NAME},
    Spelling{NFT_MSG_DELOBJ, "delete counter", NFTA_OBJ_NAME},
    Spelling{NFT_MSG_NEWSETELEM, "add element", NFTA_SET_ELEM_LIST_SET},
    Spelling{NFT_MSG_DELSETELEM, "delete element", NFTA_SET_ELEM_LIST_SET},
};

/// Of a message that this file has made: the first attribute of the type, null if it has none.
const nlattr* attributeOf(const nlmsghdr* message, std::uint16_t type) {
  const auto* tail = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(nfgenmsg)));
  for (; mnl_attr_ok(attribute, static_cast<int>(tail - reinterpret_cast<const char*>(attribute)));
       attribute = mnl_attr_next(attribute))
    if (mnl_attr_get_type(attribute) == type) return attribute;
  return nullptr;
}

/// Only errors are put into words: a batch without one pays nothing for it.
std::string spelled(const nlmsghdr* message) {
  const auto* known = std::ranges::find(kSpellings, NFNL_MSG_TYPE(message->nlmsg_type), &Spelling::type);
  if (known == kSpellings.end()) return "nft transaction";
  std::string verb = known->verb;
  constexpr std::uint32_t kMap = std::uint32_t{NFT_SET_MAP} | std::uint32_t{NFT_SET_OBJECT};
  const bool isMap =
      known->type == NFT_MSG_NEWSET && (ntohl(mnl_attr_get_u32(attributeOf(message, NFTA_SET_FLAGS))) & kMap) != 0;
  if (isMap) verb = "add map";
  std::string text = "nft " + verb + " inet " + kTable;
  if (const nlattr* name = known->name == 0 ? nullptr : attributeOf(message, known->name))
    text.append(" ").append(mnl_attr_get_str(name));
  return text;
}

}  // namespace

Batch::Batch(std::uint32_t firstSequence) : firstSequence_(firstSequence) {
  buffer_.reserve(kTypicalBatch);
  reserve(kMessageRoom);
  nftnl_batch_begin(reinterpret_cast<char*>(buffer_.data()), firstSequence_);
  ++messages_;
  end(messageAt(0));
}

void Batch::reserve(std::size_t more) {
  if (buffer_.size() < used_ + more) buffer_.resize(used_ + more);
}

nlmsghdr* Batch::messageAt(std::size_t offset) { return reinterpret_cast<nlmsghdr*>(buffer_.data() + offset); }

nlmsghdr* Batch::begin(std::uint16_t type, std::uint16_t flags) {
  closeElements();
  reserve(type == NFT_MSG_NEWRULE ? kRuleRoom : kMessageRoom);
  last_ = used_;
  nlmsghdr* message =
      nftnl_nlmsg_build_hdr(reinterpret_cast<char*>(buffer_.data() + used_), type, NFPROTO_INET, flags, nextSequence());
  ++messages_;
  return message;
}

void Batch::end(const nlmsghdr* message) { used_ += NLMSG_ALIGN(message->nlmsg_len); }

void Batch::deleteTable(std::uint64_t handle) {
  const TablePtr table = newTable();
  // With the name: a DELTABLE without one deletes the tables of all programs.
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, kTable);
  nftnl_table_set_u64(table.get(), NFTNL_TABLE_HANDLE, handle);
  nlmsghdr* message = begin(NFT_MSG_DELTABLE, 0);
  nftnl_table_nlmsg_build_payload(message, table.get());
  end(message);
}

void Batch::createTable(const std::string& text) {
  const UserDataPtr comment = newUserData();
  nftnl_udata_put_strz(comment.get(), NFTNL_UDATA_TABLE_COMMENT, text.c_str());
  const TablePtr table = newTable();
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, kTable);
  nftnl_table_set_data(table.get(), NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(comment.get()),
                       nftnl_udata_buf_len(comment.get()));
  // EXCL here and below: never add to something that another program has created.
  nlmsghdr* message = begin(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
  nftnl_table_nlmsg_build_payload(message, table.get());
  end(message);
}

void Batch::createSet(NftSetId id) { createSet(nftSet(id).name, shapeOf(id), std::nullopt); }

void Batch::createSet(const TrafficSet& set) { createSet(set.name.c_str(), shapeOf(set), set.remembers); }

void Batch::createSet(const char* name, const SetShape& shape, std::optional<std::chrono::milliseconds> timeout) {
  const SetPtr set = newSet();
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, kTable);
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name);
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, ++setsCreated_);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, shape.flags);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, shape.keyType);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, shape.keyLength);
  if (!shape.componentLengths.empty())
    nftnl_set_set_data(set.get(), NFTNL_SET_DESC_CONCAT, shape.componentLengths.data(),
                       static_cast<std::uint32_t>(shape.componentLengths.size()));
  const UserDataPtr userData = newUserData();
  nftnl_udata_put_u32(userData.get(), NFTNL_UDATA_SET_KEYBYTEORDER, std::to_underlying(shape.keyOrder));
  if (shape.dataType != 0) {
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, shape.dataType);
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, shape.dataLength);
    nftnl_udata_put_u32(userData.get(), NFTNL_UDATA_SET_DATABYTEORDER, std::to_underlying(shape.dataOrder));
  }
  if (timeout) nftnl_set_set_u64(set.get(), NFTNL_SET_TIMEOUT, static_cast<std::uint64_t>(timeout->count()));
  if (shape.objectType != 0) nftnl_set_set_u32(set.get(), NFTNL_SET_OBJ_TYPE, shape.objectType);
  nftnl_set_set_data(set.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(userData.get()),
                     nftnl_udata_buf_len(userData.get()));
  nlmsghdr* message = begin(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
  nftnl_set_nlmsg_build_payload(message, set.get());
  end(message);
}

void Batch::createChain(const Chain& chain) {
  const ChainPtr out = newChain();
  nftnl_chain_set_str(out.get(), NFTNL_CHAIN_TABLE, kTable);
  nftnl_chain_set_str(out.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
  if (chain.hook) {
    nftnl_chain_set_str(out.get(), NFTNL_CHAIN_TYPE, chain.hook->type);
    nftnl_chain_set_u32(out.get(), NFTNL_CHAIN_HOOKNUM, chain.hook->number);
    nftnl_chain_set_s32(out.get(), NFTNL_CHAIN_PRIO, chain.hook->priority);
    nftnl_chain_set_u32(out.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  }
  const UserDataPtr comment = newUserData();
  if (!chain.comment.empty()) {
    nftnl_udata_put_strz(comment.get(), NFTNL_UDATA_CHAIN_COMMENT, chain.comment.c_str());
    nftnl_chain_set_data(out.get(), NFTNL_CHAIN_USERDATA, nftnl_udata_buf_data(comment.get()),
                         nftnl_udata_buf_len(comment.get()));
  }
  nlmsghdr* message = begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
  nftnl_chain_nlmsg_build_payload(message, out.get());
  end(message);
  for (const Rule& rule : chain.rules) addRule(chain.name, rule);
}

void Batch::addRule(const std::string& chain, const Rule& rule) {
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, kTable);
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain.c_str());
  nlmsghdr* message = begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  nftnl_rule_nlmsg_build_payload(message, rule.get());
  end(message);
}

void Batch::deleteChain(const std::string& name) {
  const ChainPtr chain = newChain();
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, kTable);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name.c_str());
  // Without NLM_F_NONREC its rules are deleted with it.
  nlmsghdr* message = begin(NFT_MSG_DELCHAIN, 0);
  nftnl_chain_nlmsg_build_payload(message, chain.get());
  end(message);
}

namespace {

ObjectPtr counter(const std::string& name) {
  ObjectPtr object = newObject();
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, kTable);
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_NAME, name.c_str());
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  return object;
}

}  // namespace

void Batch::createCounter(const std::string& name) {
  const ObjectPtr object = counter(name);
  nftnl_obj_set_u64(object.get(), NFTNL_OBJ_CTR_PKTS, 0);  // or libnftnl leaves the object's data out: EINVAL
  nlmsghdr* message = begin(NFT_MSG_NEWOBJ, NLM_F_CREATE | NLM_F_EXCL);
  nftnl_obj_nlmsg_build_payload(message, object.get());
  end(message);
}

void Batch::deleteCounter(const std::string& name) {
  const ObjectPtr object = counter(name);
  nlmsghdr* message = begin(NFT_MSG_DELOBJ, 0);
  nftnl_obj_nlmsg_build_payload(message, object.get());
  end(message);
}

void Batch::addElements(const TrafficSet& set) {
  for (const TrafficElement& element : elementsOf(set)) {
    openElements(true, set.name.c_str());
    const std::size_t length = messageAt(last_)->nlmsg_len;
    reserve(length + kElementRoom);  // may move the buffer
    encode(messageAt(last_), element);
  }
}

void Batch::openElements(bool add, const char* name) {
  const bool same = elements_.open && elements_.add == add && elements_.set == name;
  if (same && last_ + messageAt(last_)->nlmsg_len - elements_.list <= kMaxListLength) return;
  nlmsghdr* message = begin(add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, kTable);
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, name);
  const nlattr* list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
  const auto offset = static_cast<std::size_t>(reinterpret_cast<const std::byte*>(list) - buffer_.data());
  elements_ = {.open = true, .add = add, .set = name, .list = offset};
}

void Batch::closeElements() {
  if (!elements_.open) return;
  elements_.open = false;
  nlmsghdr* message = messageAt(last_);
  mnl_attr_nest_end(message, reinterpret_cast<nlattr*>(buffer_.data() + elements_.list));
  end(message);
}

void Batch::changeElement(bool add, const NftElement& element) {
  openElements(add, nftSet(element.set).name);
  const std::size_t length = messageAt(last_)->nlmsg_len;
  reserve(length + kElementRoom);  // may move the buffer
  encode(messageAt(last_), element, add);
}

std::span<const std::byte> Batch::finish() {
  closeElements();
  messageAt(last_)->nlmsg_flags |= NLM_F_ACK;
  acknowledgedSequence_ = messageAt(last_)->nlmsg_seq;
  reserve(kMessageRoom);
  nlmsghdr* message = nftnl_batch_end(reinterpret_cast<char*>(buffer_.data() + used_), nextSequence());
  end(message);
  return {buffer_.data(), used_};
}

namespace {

/// The element of the list at an offset into the message; nullopt if there is none.
std::optional<std::uint32_t> elementAt(const nlmsghdr* message, std::uint32_t offset) {
  const auto* start = reinterpret_cast<const char*>(message);
  const auto* tail = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  const nlattr* list = attributeOf(message, NFTA_SET_ELEM_LIST_ELEMENTS);
  if (list == nullptr) return std::nullopt;
  const auto fits = [&](const nlattr* element) {
    return mnl_attr_ok(element, static_cast<int>(tail - reinterpret_cast<const char*>(element)));
  };
  const auto* element = static_cast<const nlattr*>(mnl_attr_get_payload(list));
  for (std::uint32_t index = 0; fits(element); ++index, element = mnl_attr_next(element)) {
    const auto begins = static_cast<std::uint32_t>(reinterpret_cast<const char*>(element) - start);
    if (offset >= begins && offset < begins + mnl_attr_get_len(element)) return index;
  }
  return std::nullopt;
}

std::string elementText(const nlmsghdr* message, std::uint32_t attribute) {
  const SetPtr set = newSet();
  if (nftnl_set_elems_nlmsg_parse(message, set.get()) < 0) return {};
  const char* name = nftnl_set_get_str(set.get(), NFTNL_SET_NAME);
  const auto id = name == nullptr ? std::nullopt : nftSetByName(name);
  const ElementIteratorPtr iterator(nftnl_set_elems_iter_create(set.get()));
  if (!id || !iterator) return {};
  const auto blamed = elementAt(message, attribute);
  nftnl_set_elem* element = nftnl_set_elems_iter_next(iterator.get());
  for (std::uint32_t skip = blamed.value_or(0); skip > 0 && element != nullptr; --skip)
    element = nftnl_set_elems_iter_next(iterator.get());
  if (element == nullptr) return {};
  const auto decoded = decode(*id, element);
  const bool oneOfMany = !blamed && nftnl_set_elems_iter_next(iterator.get()) != nullptr;
  return decoded ? " { " + toString(*decoded) + (oneOfMany ? ", ... }" : " }") : std::string();
}

}  // namespace

const nlmsghdr* Batch::find(std::uint32_t sequence) const {
  const auto at = [this](std::size_t where) { return reinterpret_cast<const nlmsghdr*>(buffer_.data() + where); };
  std::size_t offset = 0;
  while (offset < used_ && at(offset)->nlmsg_seq != sequence) offset += NLMSG_ALIGN(at(offset)->nlmsg_len);
  return offset < used_ ? at(offset) : nullptr;
}

bool Batch::addsElement(std::uint32_t sequence) const {
  const nlmsghdr* message = find(sequence);
  return message != nullptr && NFNL_MSG_TYPE(message->nlmsg_type) == NFT_MSG_NEWSETELEM;
}

std::string Batch::describe(std::uint32_t sequence, std::uint32_t attribute) const {
  const nlmsghdr* message = find(sequence);
  if (message == nullptr) return "nft transaction";
  const auto type = NFNL_MSG_TYPE(message->nlmsg_type);
  const bool elements = type == NFT_MSG_NEWSETELEM || type == NFT_MSG_DELSETELEM;
  return spelled(message) + (elements ? elementText(message, attribute) : "");
}

}  // namespace wgsteer::nft
