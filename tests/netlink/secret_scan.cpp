// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/secret_scan.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <iterator>
#include <unistd.h>

#include "os/fd.hpp"

namespace wgsteer::netlink::test {

namespace {

constexpr std::size_t kChunk = 1 << 20;

std::uint8_t invert(std::uint8_t byte) { return static_cast<std::uint8_t>(~byte); }

struct Mapping {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// The heap, the stack and anonymous mappings. AddressSanitizer's shadow memory is terabytes large and holds no data.
std::vector<Mapping> privateMemory() {
  constexpr std::uint64_t kLargest = 1ULL << 30;
  std::vector<Mapping> found;
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  if (maps == nullptr) return found;
  char line[512];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    unsigned long long begin = 0;
    unsigned long long end = 0;
    char mode[5] = {};
    if (std::sscanf(line, "%llx-%llx %4s", &begin, &end, mode) != 3 || std::strncmp(mode, "rw", 2) != 0) continue;
    if (end - begin <= kLargest) found.push_back({begin, end});
  }
  (void)std::fclose(maps);
  return found;
}

}  // namespace

Secret::Secret(std::span<const std::uint8_t> bytes) {
  std::ranges::transform(bytes, std::back_inserter(inverted_), invert);
}

Secret Secret::repeated(char digit, std::size_t count) {
  Secret secret;
  secret.inverted_.assign(count, invert(static_cast<std::uint8_t>(digit)));
  return secret;
}

Secret Secret::tail(std::size_t count) const {
  Secret rest;
  rest.inverted_.assign(inverted_.end() - static_cast<std::ptrdiff_t>(std::min(count, inverted_.size())),
                        inverted_.end());
  return rest;
}

bool Secret::isIn(std::span<const std::uint8_t> memory) const {
  const auto same = [](std::uint8_t byte, std::uint8_t inverted) { return byte == invert(inverted); };
  while (memory.size() >= inverted_.size()) {
    const auto* first =
        static_cast<const std::uint8_t*>(std::memchr(memory.data(), invert(inverted_[0]), memory.size()));
    if (first == nullptr) return false;
    memory = memory.subspan(static_cast<std::size_t>(first - memory.data()));
    if (memory.size() < inverted_.size()) return false;
    if (std::ranges::equal(memory.first(inverted_.size()), inverted_, same)) return true;
    memory = memory.subspan(1);
  }
  return false;
}

bool Secret::isInMemory() const {
  const os::Fd memory{::open("/proc/self/mem", O_RDONLY | O_CLOEXEC)};
  EXPECT_TRUE(memory) << "/proc/self/mem: " << std::strerror(errno);
  // The copy is wiped, or the next search would find it. Chunks overlap by the length of the secret.
  std::vector<std::uint8_t> chunk(kChunk);
  bool found = false;
  for (const Mapping& mapping : privateMemory())
    for (std::uint64_t at = mapping.begin; at < mapping.end && !found; at += kChunk - inverted_.size()) {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, mapping.end - at));
      const ssize_t got = ::pread(memory.get(), chunk.data(), size, static_cast<off_t>(at));
      if (got <= 0) break;
      found = isIn(std::span{chunk}.first(static_cast<std::size_t>(got)));
      explicit_bzero(chunk.data(), chunk.size());
    }
  return found;
}

}  // namespace wgsteer::netlink::test
