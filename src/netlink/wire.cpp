// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink/wire.hpp"

#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <utility>

#include "netlink/declared.hpp"

namespace wgsteer::netlink {

ErrorKind classify(int error) {
  switch (error) {
    case EEXIST:
      return ErrorKind::alreadyThere;
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO:
    case EADDRNOTAVAIL:  // this host has no such address
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

int addressFamily(Family family) { return family == Family::v4 ? AF_INET : AF_INET6; }

std::optional<Family> familyOf(int addressFamily) {
  if (addressFamily == AF_INET) return Family::v4;
  if (addressFamily == AF_INET6) return Family::v6;
  return std::nullopt;
}

namespace {

constexpr auto kExtendedAck = std::to_array<Declared>({
    {NLMSGERR_ATTR_MSG},
    {NLMSGERR_ATTR_OFFS, Length::u32},
});

/// The size of what precedes the attributes of an NLMSG_ERROR: without NLM_F_CAPPED, the whole request.
std::size_t sizeOfError(const nlmsghdr* message, Bytes payload) {
  nlmsgerr error{};
  std::memcpy(&error, payload.data(), sizeof error);
  if ((message->nlmsg_flags & NLM_F_CAPPED) != 0) return sizeof error;
  return sizeof error + aligned(error.msg.nlmsg_len) - sizeof(nlmsghdr);
}

void readExtendedAck(const nlmsghdr* message, Bytes payload, std::size_t skip, Answer& answer) {
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0 || payload.size() < skip) return;
  const Bytes acks = payload.subspan(skip);
  if (!conforms(acks, kExtendedAck)) return;
  const Attributes<NLMSGERR_ATTR_OFFS> attributes{acks};
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
  const auto error = readInteger<int>(payload);
  // A dump that failed, even one that failed at once, ends with NLMSG_DONE and its errno, not with NLMSG_ERROR
  // (netlink_dump_done). If that were ignored, a refused dump would look empty: without an errno it is not whole.
  Answer answer{.sequence = message->nlmsg_seq, .error = error ? -*error : EBADMSG, .attribute = 0, .text = {}};
  readExtendedAck(message, payload, isError ? sizeOfError(message, payload) : sizeof(int), answer);
  return answer;
}

}  // namespace wgsteer::netlink
