// Assertions on Status and Result that print the failure's text.
//
//   ASSERT_OK(store.commit(batch));
//   EXPECT_CODE(parse("x"), Code::invalid_argument);
//   ASSERT_OK_AND_ASSIGN(auto version, find("a"));
#pragma once

#include <gtest/gtest.h>

#include "common/status.h"

namespace espalier::testing {

inline const Status& status_of(const Status& status) { return status; }
template <class T>
const Status& status_of(const Result<T>& result) {
  return result.status();
}

inline ::testing::AssertionResult has_code(const Status& status, Code code) {
  if (status.code() == code) return ::testing::AssertionSuccess() << status.text();
  return ::testing::AssertionFailure() << code_name(code) << " expected, got " << status.text();
}

}  // namespace espalier::testing

#define EXPECT_CODE(expression, code) \
  EXPECT_TRUE(::espalier::testing::has_code(::espalier::testing::status_of(expression), code))
#define ASSERT_CODE(expression, code) \
  ASSERT_TRUE(::espalier::testing::has_code(::espalier::testing::status_of(expression), code))
#define EXPECT_OK(expression) EXPECT_CODE(expression, ::espalier::Code::ok)
#define ASSERT_OK(expression) ASSERT_CODE(expression, ::espalier::Code::ok)
/// The declaration gets the Result's value; a failure ends the test.
#define ASSERT_OK_AND_ASSIGN(declaration, expression)        \
  auto ESPALIER_CONCAT(result_of_, __LINE__) = (expression); \
  ASSERT_OK(ESPALIER_CONCAT(result_of_, __LINE__));          \
  declaration = *std::move(ESPALIER_CONCAT(result_of_, __LINE__))
