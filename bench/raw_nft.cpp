// SPDX-License-Identifier: GPL-2.0-or-later
#include "raw_nft.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "wans.hpp"

namespace wgsteer::bench {

namespace {

nlmsghdr* begin(char* at, std::uint16_t type, std::uint16_t flags, std::uint8_t family, std::uint16_t resource) {
  nlmsghdr* header = mnl_nlmsg_put_header(at);
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = 1;
  auto& extra = *static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  extra.nfgen_family = family;
  extra.version = NFNETLINK_V0;
  extra.res_id = ::htons(resource);
  return header;
}

void putElement(nlmsghdr* header, bool add, int number) {
  struct {
    in_addr address;
    std::uint16_t port;
    std::uint16_t padding;
  } key{};
  ::inet_pton(AF_INET, endpointAddress(number).c_str(), &key.address);
  key.port = ::htons(kEndpointPort);
  nlattr* element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
  nlattr* keyNest = mnl_attr_nest_start(header, NFTA_SET_ELEM_KEY);
  mnl_attr_put(header, NFTA_DATA_VALUE, sizeof key, &key);
  mnl_attr_nest_end(header, keyNest);
  if (add) {
    nlattr* data = mnl_attr_nest_start(header, NFTA_SET_ELEM_DATA);
    nlattr* verdict = mnl_attr_nest_start(header, NFTA_DATA_VERDICT);
    mnl_attr_put_u32(header, NFTA_VERDICT_CODE, ::htonl(static_cast<std::uint32_t>(NFT_GOTO)));
    mnl_attr_put_strz(header, NFTA_VERDICT_CHAIN, "policy_15");
    mnl_attr_nest_end(header, verdict);
    mnl_attr_nest_end(header, data);
  }
  mnl_attr_nest_end(header, element);
}

}  // namespace

Prebuilt endpointBatch(bool add, int first, int count) {
  // An attribute's length has 16 bits: 600 elements of less than 100 bytes a message.
  constexpr int kPerMessage = 600;
  Prebuilt bytes(4096 + static_cast<std::size_t>(count) * 128);
  std::size_t used = begin(bytes.data(), NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)->nlmsg_len;
  for (int done = 0; done < count; done += kPerMessage) {
    const int some = std::min(kPerMessage, count - done);
    const bool last = done + some == count;
    const std::uint16_t flags =
        static_cast<std::uint16_t>((add ? NLM_F_CREATE | NLM_F_EXCL : 0) | (last ? NLM_F_ACK : 0));
    nlmsghdr* header =
        begin(bytes.data() + used,
              static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | (add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM)),
              flags, NFPROTO_INET, 0);
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, "wgsteer");
    mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, "endpoint4");
    nlattr* list = mnl_attr_nest_start(header, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (int i = 0; i < some; ++i) putElement(header, add, first + done + i);
    mnl_attr_nest_end(header, list);
    used += header->nlmsg_len;
  }
  used += begin(bytes.data() + used, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES)->nlmsg_len;
  bytes.resize(used);
  return bytes;
}

}  // namespace wgsteer::bench
