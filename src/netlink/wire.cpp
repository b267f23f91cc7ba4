// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/wire.hpp"

#include <cerrno>
#include <utility>

namespace wgsteer::netlink {

ErrorKind classify(int error) {
  switch (error) {
    case EEXIST:
      return ErrorKind::alreadyThere;
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO:
      return ErrorKind::notThere;
    case EPERM:
    case EACCES:
    case EINVAL:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
      return ErrorKind::refused;
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case ENOMEM:
    case ERESTART:
      return ErrorKind::busy;
    case ENOBUFS:
      return ErrorKind::overrun;
    default:
      return ErrorKind::io;
  }
}

std::unexpected<Error> failWith(int error, const std::string& what, std::string kernelSays) {
  return fail(classify(error), what + ": " + std::strerror(error), error, std::move(kernelSays));
}

namespace {

void readExtendedAck(const nlmsghdr* message, const nlmsgerr& error, Bytes payload, Answer& answer) {
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return;
  std::size_t skip = sizeof error;
  // Without NLM_F_CAPPED the whole request comes before the attributes.
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) skip += aligned(error.msg.nlmsg_len) - sizeof(nlmsghdr);
  if (payload.size() < skip) return;
  const Attributes<NLMSGERR_ATTR_OFFS> attributes{payload.subspan(skip)};
  answer.text = attributes.text(NLMSGERR_ATTR_MSG);
  answer.attribute = attributes.u32(NLMSGERR_ATTR_OFFS);
}

}  // namespace

std::optional<Answer> answerIn(const nlmsghdr* message) {
  if (message->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(message) < sizeof(nlmsgerr)) return std::nullopt;
  const Bytes payload{static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(message)),
                      mnl_nlmsg_get_payload_len(message)};
  nlmsgerr error{};
  std::memcpy(&error, payload.data(), sizeof error);
  Answer answer{.sequence = message->nlmsg_seq, .error = -error.error, .attribute = 0, .text = {}};
  readExtendedAck(message, error, payload, answer);
  return answer;
}

}  // namespace wgsteer::netlink
