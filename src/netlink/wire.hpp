// SPDX-License-Identifier: GPL-2.0-or-later
// The grammar of netlink, netlink(7): messages in a datagram, attributes in a message, the kernel's answers. Everything
// here works on bytes that the kernel (or a fuzzer) made: lengths are checked before anything is read, and integers are
// copied out, because attributes are aligned only to 4 bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "wgsteer/core/address.hpp"
#include "wgsteer/result.hpp"

namespace wgsteer::netlink {

/// The only place that maps an errno of the kernel's networking to its meaning for us.
ErrorKind classify(int error);
std::unexpected<Error> failWith(int error, const std::string& what, std::string kernelSays = {});

/// The end of the kernel's answer to a request: NLMSG_ERROR, or NLMSG_DONE after a dump. Error 0 is success.
struct Answer {
  std::uint32_t sequence = 0;
  int error = 0;
  std::uint32_t attribute = 0;  ///< offset of the offending attribute; 0: none given
  std::string text;             ///< the extended ack's
};
std::optional<Answer> answerIn(const nlmsghdr* message);

/// AF_INET or AF_INET6.
int addressFamily(Family family);
std::optional<Family> familyOf(int addressFamily);

/// Messages and attributes begin at multiples of four (MNL_ALIGN, which is of type int).
constexpr std::size_t aligned(std::size_t length) { return (length + 3) & ~std::size_t{3}; }

/// Calls handle(message) for each whole message. Not with mnl_nlmsg_ok(), which treats a length of 2 GB or more as
/// negative and accepts it (libmnl 1.0.4).
template <class F>
void forEachMessage(std::span<const std::byte> bytes, F&& handle) {
  while (bytes.size() >= sizeof(nlmsghdr)) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data());
    if (message->nlmsg_len < sizeof(nlmsghdr) || message->nlmsg_len > bytes.size()) return;
    handle(message);
    const std::size_t next = aligned(message->nlmsg_len);
    if (next >= bytes.size()) return;
    bytes = bytes.subspan(next);
  }
}

/// Payload of an attribute or message.
using Bytes = std::span<const std::uint8_t>;

template <class T>
std::optional<T> readInteger(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value{};
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

/// Calls handle(type, payload) for each whole attribute; nested and byte-order flags are removed from the type.
template <class F>
void forEachAttribute(Bytes bytes, F&& handle) {
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr header{};
    std::memcpy(&header, bytes.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > bytes.size()) return;
    const auto type = static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK);
    handle(type, bytes.subspan(sizeof header, header.nla_len - sizeof header));
    const std::size_t next = aligned(header.nla_len);
    if (next >= bytes.size()) return;
    bytes = bytes.subspan(next);
  }
}

/// Attributes of a message by their type, up to Max; later ones of the same type win, as in the kernel.
template <std::size_t Max>
class Attributes {
 public:
  explicit Attributes(Bytes bytes) {
    forEachAttribute(bytes, [this](std::uint16_t type, Bytes payload) {
      if (type <= Max) found_[type] = payload;
    });
  }
  std::optional<Bytes> at(std::size_t type) const { return found_[type]; }
  bool has(std::size_t type) const { return found_[type].has_value(); }

  template <class T>
  std::optional<T> integer(std::size_t type) const {
    return found_[type] ? readInteger<T>(*found_[type]) : std::nullopt;
  }
  std::uint32_t u32(std::size_t type, std::uint32_t otherwise = 0) const {
    return integer<std::uint32_t>(type).value_or(otherwise);
  }
  std::string text(std::size_t type) const {
    if (!found_[type]) return {};
    const std::string_view all{reinterpret_cast<const char*>(found_[type]->data()), found_[type]->size()};
    return std::string{all.substr(0, all.find('\0'))};
  }
  /// Only if it has the length of the family's addresses.
  std::optional<Address> address(std::size_t type, Family family) const {
    if (!found_[type] || found_[type]->size() != bitsOf(family) / 8U) return std::nullopt;
    return Address::fromBytes(*found_[type]);
  }

 private:
  std::array<std::optional<Bytes>, Max + 1> found_{};
};

/// Fixed header and attribute bytes of a message; nullopt if it is too short for the header.
template <class Header>
struct Parts {
  Header header{};
  Bytes attributes;
};
template <class Header>
std::optional<Parts<Header>> partsOf(const nlmsghdr* message) {
  const Bytes payload{static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(message)),
                      mnl_nlmsg_get_payload_len(message)};
  constexpr std::size_t kAligned = aligned(sizeof(Header));
  if (payload.size() < sizeof(Header)) return std::nullopt;
  Parts<Header> parts;
  std::memcpy(&parts.header, payload.data(), sizeof(Header));
  if (payload.size() > kAligned) parts.attributes = payload.subspan(kAligned);
  return parts;
}

/// A message under construction, on the stack: the hot path allocates nothing.
class Message {
 public:
  Message(std::uint16_t type, std::uint16_t flags) : header_(mnl_nlmsg_put_header(buffer_.data())) {
    header_->nlmsg_type = type;
    header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  template <class Header>
  Header& extra() {
    return *static_cast<Header*>(mnl_nlmsg_put_extra_header(header_, sizeof(Header)));
  }
  /// A header inside a nest; null if there is no more room.
  template <class Header>
  Header* more() {
    whole_ = whole_ && header_->nlmsg_len + aligned(sizeof(Header)) <= kSize;
    return whole_ ? &extra<Header>() : nullptr;
  }
  void u8(std::uint16_t type, std::uint8_t value) { object(type, value); }
  void u16(std::uint16_t type, std::uint16_t value) { object(type, value); }
  void u32(std::uint16_t type, std::uint32_t value) { object(type, value); }
  void text(std::uint16_t type, const std::string& value) { put(type, value.size() + 1, value.c_str()); }
  void bytes(std::uint16_t type, Bytes value) { put(type, value.size(), value.data()); }
  template <class T>
  void object(std::uint16_t type, const T& value) {
    put(type, sizeof value, &value);
  }

  /// False if something did not fit; then the message must not be sent.
  bool whole() const { return whole_; }
  nlmsghdr* header() { return header_; }
  std::span<const std::byte> finished() const { return std::as_bytes(std::span{buffer_}).first(header_->nlmsg_len); }

 private:
  void put(std::uint16_t type, std::size_t size, const void* data) {
    whole_ = whole_ && mnl_attr_put_check(header_, kSize, type, size, data);
    if (whole_) clear(aligned(size) - size);
  }
  // libmnl 1.0.4 does not clear the padding of an attribute: here it would contain old stack data.
  void clear(std::size_t padding) { std::memset(buffer_.data() + header_->nlmsg_len - padding, 0, padding); }

  // Enough for a multipath route with 255 next hops that have IPv6 gateways, at 28 bytes each.
  static constexpr std::size_t kSize = 8192;
  alignas(nlmsghdr) std::array<char, kSize> buffer_;
  nlmsghdr* header_;
  bool whole_ = true;
};

}  // namespace wgsteer::netlink
