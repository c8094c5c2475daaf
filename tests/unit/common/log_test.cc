#include "common/log.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

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

TEST(Log, JsonIsOneObjectWithTypedFields) {
  EXPECT_EQ(
      log::json_line(log::Level::warn, "shard", "table swapped",
                     {{"epoch", 12}, {"most", ~0ull}, {"share", 0.25}, {"first", true}, {"why", not_found("a b")}}),
      R"("level":"warn","part":"shard","message":"table swapped","epoch":12,"most":18446744073709551615,)"
      R"("share":0.25,"first":true,"why":"not_found: a b"})");
  EXPECT_EQ(log::json_line(log::Level::info, "shard", "ready", {}),
            R"("level":"info","part":"shard","message":"ready"})");
}

TEST(Log, JsonIsValidWhateverBytesANameHas) {
  using std::string_literals::operator""s;
  const auto value = [](const std::string& text) {
    const std::string line = log::json_line(log::Level::info, "c", "m", {{"k", text}});
    const std::string_view before = R"("level":"info","part":"c","message":"m","k":)";
    EXPECT_TRUE(line.starts_with(before)) << line;
    return line.substr(before.size(), line.size() - before.size() - 1);
  };
  EXPECT_EQ(value("K\u00f6ln/\U0001f33f"), "\"K\u00f6ln/\U0001f33f\"");
  EXPECT_EQ(value("say \"hi\"\\"), R"("say \"hi\"\\")");
  EXPECT_EQ(value("a\nb\x1b\x7f\0"s), R"("a\u000ab\u001b\u007f\u0000")");
  EXPECT_EQ(value("\u2028\u2029\u009b"), R"("\u2028\u2029\u009b")") << "ends of lines, and a terminal's command";
  // Not UTF-8: a lone byte, a cut character, overlong forms, a surrogate, beyond the last character.
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(value("\xff"), "\"" + bad + "\"");
  EXPECT_EQ(value("a\xc3"), "\"a" + bad + "\"");
  EXPECT_EQ(value("\xc0\xaf"), "\"" + bad + bad + "\"");
  EXPECT_EQ(value("\xed\xa0\x80"), "\"" + bad + bad + bad + "\"");
  EXPECT_EQ(value("\xf4\x90\x80\x80"), "\"" + bad + bad + bad + bad + "\"");
  // What no JSON number can be is text; what each line has keeps its name.
  EXPECT_EQ(log::json_line(log::Level::info, "c", "m", {{"pid", 1}, {"rate", std::numeric_limits<double>::quiet_NaN()}}).substr(40),
            R"("pid_":1,"rate":"nan"})");
}

TEST(Log, OfRepeatedLinesAFewAreWrittenAndTheOthersCounted) {
  log::Repeats repeats;
  std::int64_t now_us = 1'000'000;
  for (std::uint64_t i = 0; i < log::kMostLines; ++i) {
    EXPECT_TRUE(repeats.look("router", "shard is silent", now_us).may_write);
  }
  for (int i = 0; i < 7; ++i) EXPECT_FALSE(repeats.look("router", "shard is silent", now_us).may_write);
  EXPECT_TRUE(repeats.look("router", "another", now_us).may_write) << "each kind has its own";
  EXPECT_TRUE(repeats.due(now_us, false).empty()) << "the window goes on";
  now_us += log::kWindowUs;
  const auto verdict = repeats.look("router", "shard is silent", now_us);
  EXPECT_TRUE(verdict.may_write);
  EXPECT_EQ(verdict.left_out, 7u);
  EXPECT_EQ(repeats.look("router", "shard is silent", now_us).left_out, 0u) << "told once";
}

TEST(Log, WhatWasLeftOutIsToldWithOtherLinesOrAtTheEnd) {
  log::Repeats repeats;
  for (std::uint64_t i = 0; i < log::kMostLines + 3; ++i) repeats.look("router", "shard is silent", 0);
  EXPECT_TRUE(repeats.due(log::kWindowUs - 1, false).empty());
  const auto due = repeats.due(2 * log::kWindowUs, false);
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].message, "shard is silent");
  EXPECT_EQ(due[0].count, 3u);
  EXPECT_EQ(repeats.look("router", "shard is silent", 2 * log::kWindowUs).left_out, 0u);
  for (std::uint64_t i = 0; i < log::kMostLines + 1; ++i) repeats.look("shard", "trying again", 2 * log::kWindowUs);
  EXPECT_EQ(repeats.due(2 * log::kWindowUs, true).size(), 1u) << "the end doesn't wait";
}

TEST(Log, MessagesThatVaryCostBoundedMemoryAndLoseNoCount) {
  log::Repeats repeats;
  std::uint64_t written = 0, told = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string message = "message " + std::to_string(i % 2500);
    for (int again = 0; again < 25; ++again) {
      const auto verdict = repeats.look("c", message, i);
      written += verdict.may_write ? 1 : 0;
      told += verdict.left_out;
    }
  }
  const auto due = repeats.due(0, true);
  EXPECT_LE(due.size(), 1001u);
  for (const auto& kind : due) told += kind.count;
  EXPECT_EQ(written + told, 5000u * 25);
}

TEST(Log, AnotherLevelIsSaidWhateverTheLevelIs) {
  log::set_level(log::Level::error);
  ::testing::internal::CaptureStderr();
  log::change_level(log::Level::warn, "admin");
  log::change_level(log::Level::warn, "admin");
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("log: another level from=error to=warn by=admin\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), text.size() - 1) << "once: the second changed nothing";
  EXPECT_EQ(log::level(), log::Level::warn);
  log::set_level(log::Level::info);
}

TEST(Log, WritesJsonWhenAskedTo) {
  log::set_format(log::Format::json);
  ::testing::internal::CaptureStderr();
  log::warn("test", "seen", {{"name", "a\nb"}});
  log::write_end("espalier-test", not_found("x"));
  const std::string text = ::testing::internal::GetCapturedStderr();
  log::set_format(log::Format::text);
  EXPECT_NE(text.find(R"(,"level":"warn","part":"test","message":"seen","name":"a\u000ab"})"
                      "\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("level":"error","part":"espalier-test","message":"ended","why":"not_found: x"})"),
            std::string::npos);
  EXPECT_TRUE(text.starts_with(R"({"time":"20)")) << text;
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
