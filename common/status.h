// Expected failures, in one vocabulary for files, messages and the command line.
//
// A function that can fail in a way its caller should handle returns Status or Result<T>. Callers act on the code;
// people read the message, which names the place ("parts[0].rows[2].age: expected a number, got text").
// Programmers' errors are asserts. Exceptions of libraries are translated where the library is included.
//
// Thread safety: values, like std::string.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace espalier {

/// The one list of failure codes. The numbers are on the wire and in records: they never change.
enum class Code : std::uint8_t {
  ok = 0,
  /// The input is wrong whatever the state is; the message names the field. Prefer failed_precondition if it could be
  /// right later.
  invalid_argument = 1,
  /// The named thing does not exist (or belongs to another tenant: the two are never told apart).
  not_found = 2,
  /// A prediction was asked of a tree that has no ready node, not even a root.
  no_model = 3,
  /// What was to be created exists already with other content.
  already_exists = 4,
  /// The state does not allow it now: a compare-and-set that lost, a schema in use, an epoch already collected.
  failed_precondition = 5,
  /// The principal may not do this.
  permission_denied = 6,
  /// Disk, memory or a quota is used up; retrying at once does not help.
  resource_exhausted = 7,
  /// Too much is asked at the moment; try again after the hint. Prefer resource_exhausted when space is what lacks.
  overloaded = 8,
  /// The time budget ran out before an answer.
  deadline_exceeded = 9,
  /// The other side can't be reached or is not taking changes now; trying again later is right.
  unavailable = 10,
  /// Bytes that were stored or sent are damaged: a hash, a checksum or an offset does not hold.
  corrupt = 11,
  /// The peer or file speaks a version or uses a feature that this build does not know.
  unimplemented = 12,
  /// A broken invariant of our own; always a defect.
  internal = 13,
};

/// "invalid_argument" and so on: the name used in messages, JSON output and documents.
std::string_view code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  ///< ok
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) { assert(code != Code::ok); }

  bool ok() const { return code_ == Code::ok; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  /// "not_found: model acme/total"; "ok" when ok.
  std::string text() const;
  /// The same failure with `where` and ": " put before its message; ok stays ok.
  Status at(std::string_view where) const;

 private:
  Code code_ = Code::ok;
  std::string message_;
};

Status invalid_argument(std::string message);
Status not_found(std::string message);
Status failed_precondition(std::string message);
Status corrupt(std::string message);
Status unavailable(std::string message);
Status internal_error(std::string message);

/// A T, or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                                  // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }  // NOLINT

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  /// REQUIRES: ok()
  T& operator*() & {
    assert(ok());
    return *value_;
  }
  const T& operator*() const& {
    assert(ok());
    return *value_;
  }
  T&& operator*() && {
    assert(ok());
    return std::move(*value_);
  }
  T* operator->() {
    assert(ok());
    return &*value_;
  }
  const T* operator->() const {
    assert(ok());
    return &*value_;
  }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace espalier

#define ESPALIER_CONCAT_INNER(a, b) a##b
#define ESPALIER_CONCAT(a, b) ESPALIER_CONCAT_INNER(a, b)

/// Returns the Status from the enclosing function unless it is ok.
#define RETURN_IF_ERROR(expression)                              \
  do {                                                           \
    ::espalier::Status status_of_expression = (expression);      \
    if (!status_of_expression.ok()) return status_of_expression; \
  } while (false)

/// `ASSIGN_OR_RETURN(auto x, f());` : x is f()'s value, or its Status is returned.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_IMPL(ESPALIER_CONCAT(result_of_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_IMPL(result, declaration, expression) \
  auto result = (expression);                                  \
  if (!result.ok()) return result.status();                    \
  declaration = *std::move(result)
