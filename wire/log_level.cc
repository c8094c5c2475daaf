#include "wire/log_level.h"

#include "common/log.h"
#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const LogLevelRequest*) {
  v("level", &LogLevelRequest::level);
}

template <class V>
void describe(V&& v, const LogLevelReply*) {
  v("level", &LogLevelReply::level);
  v("before", &LogLevelReply::before);
}

ESPALIER_WIRE_MESSAGE(LogLevelRequest);
ESPALIER_WIRE_REPLY(LogLevelReply);

Result<LogLevelReply> change_log_level(const Principal& principal, const LogLevelRequest& request) {
  RETURN_IF_ERROR(principal.check_operate());
  const std::string before(log::level_name(log::level()));
  if (request.level.empty()) return LogLevelReply{before, before};
  ASSIGN_OR_RETURN(const log::Level level, log::parse_level(request.level));
  log::change_level(level, principal.name());
  return LogLevelReply{std::string(log::level_name(level)), before};
}

std::string answer_log_level(const Principal& principal, std::string_view header) {
  const auto request = decode<LogLevelRequest>(header);
  if (!request.ok()) return encode_error(request.status());
  const auto reply = change_log_level(principal, *request);
  return reply.ok() ? encode_reply(Status(), *reply) : encode_error(reply.status());
}

}  // namespace espalier::wire
