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
    case EPROTONOSUPPORT:
    case EROFS:
    case EMSGSIZE:
      return ErrorKind::refused;
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case ENOMEM:
    case ERESTART:
    case ENETDOWN:  // a route by a device that is just going down: its event will follow
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

/// The size of what precedes the attributes of an NLMSG_ERROR: without NLM_F_CAPPED, the whole request.
std::size_t sizeOfError(const nlmsghdr* message, Bytes payload) {
  nlmsgerr error{};
  std::memcpy(&error, payload.data(), sizeof error);
  if ((message->nlmsg_flags & NLM_F_CAPPED) != 0) return sizeof error;
  return sizeof error + aligned(error.msg.nlmsg_len) - sizeof(nlmsghdr);
}

void readExtendedAck(const nlmsghdr* message, Bytes payload, std::size_t skip, Answer& answer) {
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0 || payload.size() < skip) return;
  const Attributes<NLMSGERR_ATTR_OFFS> attributes{payload.subspan(skip)};
  answer.text = attributes.text(NLMSGERR_ATTR_MSG);
  answer.attribute = attributes.u32(NLMSGERR_ATTR_OFFS);
}

}  // namespace

std::optional<Answer> answerIn(const nlmsghdr* message) {
  const bool isError = message->nlmsg_type == NLMSG_ERROR;
  if (!isError && message->nlmsg_type != NLMSG_DONE) return std::nullopt;
  const Bytes payload{static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(message)),
                      mnl_nlmsg_get_payload_len(message)};
  if (isError && payload.size() < sizeof(nlmsgerr)) return std::nullopt;
  // A dump that failed, even one that failed at once, ends with NLMSG_DONE and its errno, not with NLMSG_ERROR
  // (netlink_dump_done). If that were ignored, a refused dump would look empty.
  Answer answer{
      .sequence = message->nlmsg_seq, .error = -readInteger<int>(payload).value_or(0), .attribute = 0, .text = {}};
  readExtendedAck(message, payload, isError ? sizeOfError(message, payload) : sizeof(int), answer);
  return answer;
}

}  // namespace wgsteer::netlink
