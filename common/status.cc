#include "common/status.h"

namespace espalier {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::ok: return "ok";
    case Code::invalid_argument: return "invalid_argument";
    case Code::not_found: return "not_found";
    case Code::no_model: return "no_model";
    case Code::already_exists: return "already_exists";
    case Code::failed_precondition: return "failed_precondition";
    case Code::permission_denied: return "permission_denied";
    case Code::resource_exhausted: return "resource_exhausted";
    case Code::overloaded: return "overloaded";
    case Code::deadline_exceeded: return "deadline_exceeded";
    case Code::unavailable: return "unavailable";
    case Code::corrupt: return "corrupt";
    case Code::unimplemented: return "unimplemented";
    case Code::internal: return "internal";
  }
  return "unknown";
}

std::string Status::text() const {
  std::string text(code_name(code_));
  if (!ok()) text.append(": ").append(message_);
  return text;
}

Status Status::at(std::string_view where) const {
  if (ok()) return *this;
  return Status(code_, std::string(where).append(": ").append(message_));
}

Status invalid_argument(std::string message) { return {Code::invalid_argument, std::move(message)}; }
Status not_found(std::string message) { return {Code::not_found, std::move(message)}; }
Status failed_precondition(std::string message) { return {Code::failed_precondition, std::move(message)}; }
Status corrupt(std::string message) { return {Code::corrupt, std::move(message)}; }
Status unavailable(std::string message) { return {Code::unavailable, std::move(message)}; }
Status internal_error(std::string message) { return {Code::internal, std::move(message)}; }

}  // namespace espalier
