// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft/counters.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/object.h>
#include <string>
#include <string_view>

#include "wgsteer/core/numbers.hpp"

#include "netlink/kernel_headers.hpp"
#include "nft/handles.hpp"
#include "nft/ruleset.hpp"

namespace wgsteer::nft {

namespace {

constexpr const char* kTable = kNftTable.data();

/// nf_tables has a namespace of tables per family, and the dump covers all families.
bool isOurs(const nlmsghdr* message, nftnl_obj* object) {
  const auto* header = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message));
  return header->nfgen_family == NFPROTO_INET && nftnl_obj_get_u32(object, NFTNL_OBJ_TYPE) == NFT_OBJECT_COUNTER &&
         std::string_view{nftnl_obj_get_str(object, NFTNL_OBJ_TABLE)} == kNftTable;
}

void take(nftnl_obj* object, Counters& counts) {
  const std::string_view name = nftnl_obj_get_str(object, NFTNL_OBJ_NAME);
  const std::uint64_t packets = nftnl_obj_get_u64(object, NFTNL_OBJ_CTR_PKTS);
  if (const auto slot = slotFromName(name, kInitiationsPrefix)) counts.handshakes[*slot].initiations = packets;
  if (const auto slot = slotFromName(name, kResponsesPrefix)) counts.handshakes[*slot].responses = packets;
  if (name.starts_with(kRulePrefix)) counts.rules[std::string{name.substr(kRulePrefix.size())}] = packets;
}

}  // namespace

Result<Counters> readCounters(Channel& channel) {
  Counters counts;
  const Status read = channel.dump(
      NFT_MSG_GETOBJ,
      [](netlink::Message& message) {
        message.text(NFTA_OBJ_TABLE, kTable);
        message.u32(NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
      },
      [&](const nlmsghdr* message) {
        const ObjectPtr object = newObject();
        if (nftnl_obj_nlmsg_parse(message, object.get()) >= 0 && isOurs(message, object.get()))
          take(object.get(), counts);
      },
      "nft list counters table inet wgsteer");
  if (!read && read.error().kind != ErrorKind::notThere) return std::unexpected(read.error());
  return counts;
}

}  // namespace wgsteer::nft
