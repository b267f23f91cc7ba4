// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/generation.hpp"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <optional>

#include "nft/observed_table.hpp"

namespace wgsteer::nft {

Result<std::uint32_t> generation(Channel& channel) {
  std::optional<std::uint32_t> id;
  const Status status = channel.get(
      NFT_MSG_GETGEN, [](netlink::Message&) {}, [&](const nlmsghdr* message) { id = generationOf(message); },
      "nft generation");
  if (!status) return std::unexpected(status.error());
  if (!id) return fail(ErrorKind::malformed, "nft generation: the answer has no number");
  return *id;
}

}  // namespace wgsteer::nft
