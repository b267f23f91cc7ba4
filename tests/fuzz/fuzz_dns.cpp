// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as an answer of a name server: some addresses, or why it is refused.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "dns/answer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const wgsteer::Family family : wgsteer::kFamilies) {
    const auto records = wgsteer::dns::readAnswer({data, size}, family);
    if (!records) {
      if (records.error().empty()) std::abort();
      continue;
    }
    if (records->addresses.size() > wgsteer::dns::kMaxAddresses || records->ttl > 0x7fffffff) std::abort();
    if (!std::ranges::is_sorted(records->addresses)) std::abort();
    for (const wgsteer::Address& address : records->addresses)
      if (address.family() != family) std::abort();
  }
  return 0;
}
