#include "common/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "tests/support/status_matchers.h"

namespace espalier {
namespace {

TEST(Status, DefaultIsOk) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.text(), "ok");
  EXPECT_TRUE(status.at("anywhere").ok());
}

TEST(Status, NamesItsPlace) {
  const Status status = invalid_argument("a number expected").at("rows[2].age").at("parts[0]");
  EXPECT_EQ(status.code(), Code::invalid_argument);
  EXPECT_EQ(status.message(), "parts[0]: rows[2].age: a number expected");
  EXPECT_EQ(status.text(), "invalid_argument: parts[0]: rows[2].age: a number expected");
}

TEST(Status, EveryCodeHasItsOwnNameAndAMadeUpOneIsUnknown) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Code::internal); ++code) names.insert(code_name(static_cast<Code>(code)));
  EXPECT_EQ(names.size(), 14u);
  EXPECT_FALSE(names.contains("unknown"));
  EXPECT_EQ(code_name(static_cast<Code>(200)), "unknown");
}

// These numbers are on the wire and in records.
TEST(Status, NumbersNeverChange) {
  EXPECT_EQ(static_cast<int>(Code::ok), 0);
  EXPECT_EQ(static_cast<int>(Code::invalid_argument), 1);
  EXPECT_EQ(static_cast<int>(Code::not_found), 2);
  EXPECT_EQ(static_cast<int>(Code::no_model), 3);
  EXPECT_EQ(static_cast<int>(Code::already_exists), 4);
  EXPECT_EQ(static_cast<int>(Code::failed_precondition), 5);
  EXPECT_EQ(static_cast<int>(Code::permission_denied), 6);
  EXPECT_EQ(static_cast<int>(Code::resource_exhausted), 7);
  EXPECT_EQ(static_cast<int>(Code::overloaded), 8);
  EXPECT_EQ(static_cast<int>(Code::deadline_exceeded), 9);
  EXPECT_EQ(static_cast<int>(Code::unavailable), 10);
  EXPECT_EQ(static_cast<int>(Code::corrupt), 11);
  EXPECT_EQ(static_cast<int>(Code::unimplemented), 12);
  EXPECT_EQ(static_cast<int>(Code::internal), 13);
}

Result<int> half(int number) {
  if (number % 2 != 0) return invalid_argument("odd");
  return number / 2;
}

Result<int> quarter(int number) {
  ASSIGN_OR_RETURN(const int once, half(number));
  ASSIGN_OR_RETURN(const int twice, half(once));
  return twice;
}

Status check_quarter(int number) {
  RETURN_IF_ERROR(quarter(number).status());
  return {};
}

TEST(Result, CarriesAValueOrAFailure) {
  ASSERT_OK_AND_ASSIGN(const int value, quarter(12));
  EXPECT_EQ(value, 3);
  EXPECT_CODE(quarter(6), Code::invalid_argument);
  EXPECT_CODE(quarter(7), Code::invalid_argument);
  EXPECT_OK(check_quarter(8));
  EXPECT_CODE(check_quarter(9), Code::invalid_argument);
}

TEST(Result, MovesWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 5);
}

}  // namespace
}  // namespace espalier
