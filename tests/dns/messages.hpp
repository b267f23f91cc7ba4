// SPDX-License-Identifier: GPL-2.0-or-later
// Hand-made DNS messages, valid and invalid.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wgsteer/core/address.hpp"

namespace wgsteer::dns::test {

inline constexpr std::uint16_t kA = 1;
inline constexpr std::uint16_t kCname = 5;
inline constexpr std::uint16_t kAaaa = 28;

inline std::string number16(unsigned value) {
  return {static_cast<char>(value >> 8U & 0xffU), static_cast<char>(value & 0xffU)};
}
inline std::string number32(std::uint32_t value) { return number16(value >> 16U) + number16(value & 0xffffU); }

/// "vpn.example.com" on the wire.
inline std::string wireName(std::string_view text) {
  std::string wire;
  while (!text.empty()) {
    const auto label = text.substr(0, text.find('.'));
    (wire += static_cast<char>(label.size())) += label;
    text.remove_prefix(std::min(text.size(), label.size() + 1));
  }
  return wire + '\0';
}

inline std::string record(const std::string& owner, std::uint16_t type, std::uint32_t ttl, const std::string& data) {
  return owner + number16(type) + number16(1) + number32(ttl) + number16(static_cast<unsigned>(data.size())) + data;
}

inline std::string record(std::string_view owner, std::uint32_t ttl, std::string_view address) {
  const Address parsed = *Address::parse(address);
  const std::string data{reinterpret_cast<const char*>(parsed.bytes().data()), parsed.bytes().size()};
  return record(wireName(owner), parsed.family() == Family::v4 ? kA : kAaaa, ttl, data);
}

inline std::string cname(std::string_view owner, std::uint32_t ttl, std::string_view target) {
  return record(wireName(owner), kCname, ttl, wireName(target));
}

struct Query {
  std::string id;    ///< as received
  std::string name;  ///< "vpn.example.com"
  std::uint16_t type = 0;
  std::string question;  ///< as received
  bool tcp = false;
};

inline Query parseQuery(const std::string& bytes, bool tcp) {
  Query query{.id = bytes.substr(0, 2), .name = {}, .type = 0, .question = {}, .tcp = tcp};
  std::size_t at = 12;
  while (at < bytes.size() && bytes[at] != '\0') {
    const auto size = static_cast<unsigned char>(bytes[at]);
    query.name += (query.name.empty() ? "" : ".") + bytes.substr(at + 1, size);
    at += size + 1U;
  }
  query.type = static_cast<std::uint16_t>(static_cast<unsigned char>(bytes.at(at + 2)));
  query.question = bytes.substr(12, at + 5 - 12);
  return query;
}

struct ReplyOptions {
  unsigned rcode = 0;
  bool truncated = false;
  int count = -1;  ///< number of answers claimed in the header; -1: the real number
};

inline std::string reply(const Query& query, const std::vector<std::string>& answers, ReplyOptions options = {}) {
  const unsigned flags = 0x8180U | options.rcode | (options.truncated ? 0x0200U : 0U);
  const unsigned count =
      options.count < 0 ? static_cast<unsigned>(answers.size()) : static_cast<unsigned>(options.count);
  std::string message = query.id + number16(flags) + number16(1) + number16(count) + number32(0) + query.question;
  for (const std::string& answer : answers) message += answer;
  return message;
}

}  // namespace wgsteer::dns::test
