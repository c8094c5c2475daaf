#include "common/log.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace espalier {
namespace {

TEST(Log, FieldsAreReadable) {
  EXPECT_EQ(log::line("shard", "table swapped", {{"epoch", 12}, {"nodes", 4500ull}, {"share", 0.25}, {"first", true}}),
            "shard: table swapped epoch=12 nodes=4500 share=0.25 first=true");
  EXPECT_EQ(log::line("shard", "ready", {}), "shard: ready");
  EXPECT_EQ(log::line("registry", "refused", {{"why", not_found("model a")}}),
            "registry: refused why=\"not_found: model a\"");
}

TEST(Log, ValuesCannotBreakTheLine) {
  using std::string_literals::operator""s;
  EXPECT_EQ(log::line("c", "m", {{"k", "plain/usa@x"}}), "c: m k=plain/usa@x");
  EXPECT_EQ(log::line("c", "m", {{"k", ""}}), "c: m k=\"\"");
  EXPECT_EQ(log::line("c", "m", {{"k", "a b"}}), "c: m k=\"a b\"");
  EXPECT_EQ(log::line("c", "m", {{"k", "a=b"}}), "c: m k=\"a=b\"");
  EXPECT_EQ(log::line("c", "m", {{"k", "say \"hi\"\\"}}), "c: m k=\"say \\\"hi\\\"\\\\\"");
  EXPECT_EQ(log::line("c", "m", {{"k", "a\nb"}}), "c: m k=\"a\\nb\"");
  EXPECT_EQ(log::line("c", "m", {{"k", "\x1b[31m\0"s}}), "c: m k=\"\\x1b[31m\\x00\"");
}

TEST(Log, Levels) {
  for (const char* text : {"", "Info", "warning", "err", "trace", "info "}) {
    EXPECT_CODE(log::parse_level(text), Code::invalid_argument) << text;
  }
  ASSERT_OK_AND_ASSIGN(const log::Level warn, log::parse_level("warn"));
  log::set_level(warn);
  EXPECT_FALSE(log::is_enabled(log::Level::info));
  EXPECT_TRUE(log::is_enabled(log::Level::warn));
  log::set_level(log::Level::info);
}

TEST(Log, WritesOneLineToStderr) {
  ::testing::internal::CaptureStderr();
  log::debug("test", "not to be seen");
  log::info("test", "seen {} %d", {{"n", 1}});
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("not to be seen"), std::string::npos);
  EXPECT_NE(text.find(" info test: seen {} %d n=1\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), text.size() - 1);
}

}  // namespace
}  // namespace espalier
