#include "wire/reply_peek.h"

#include <gtest/gtest.h>

#include <array>

#include "wire/predict_codec.h"

namespace espalier::wire {
namespace {

const std::array<std::string_view, 3> kPath = {"usa", "ca", "fresno"};

/// One part answered so many levels above the node asked for.
void append(std::string& to, std::size_t above, Reason reason, std::uint32_t rows = 1,
            std::span<const std::string_view> asked = kPath) {
  ProvenanceView provenance;
  provenance.asked = asked;
  provenance.served_levels = asked.size() - above;
  provenance.level = "state";
  provenance.reason = reason;
  provenance.shard = "s0";
  append_answered(to, rows, provenance);
}

TEST(ReplyPeek, SaysHowFarAboveAndWhy) {
  std::vector<PartPeek> parts;
  for (const std::uint32_t rows : {1u, 127u, 128u, 70'000u}) {
    for (std::size_t above = 0; above <= 3; ++above) {
      std::string reply;
      begin_reply(reply, 1);
      append(reply, above, Reason::cold, rows);
      EXPECT_EQ(peek_reply(reply, parts), Code::ok);
      ASSERT_EQ(parts.size(), 1u);
      EXPECT_EQ(parts[0].code, Code::ok);
      EXPECT_EQ(parts[0].levels_above, above) << rows;
      EXPECT_EQ(parts[0].reason, Reason::cold);
    }
  }
}

TEST(ReplyPeek, LongValuesAndTheRootAreReadAlike) {
  const std::string value(200, 'x');
  const std::array<std::string_view, 8> deep = {value, value, "", value, "a", value, value, value};
  std::vector<PartPeek> parts;
  std::string reply;
  begin_reply(reply, 1);
  append(reply, 8, Reason::removed, 1, deep);
  EXPECT_EQ(peek_reply(reply, parts), Code::ok);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].levels_above, 8);
  EXPECT_EQ(parts[0].reason, Reason::removed);
  begin_reply(reply, 1);
  append(reply, 0, Reason::exact, 1, {});
  EXPECT_EQ(peek_reply(reply, parts), Code::ok);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].levels_above, 0);
}

TEST(ReplyPeek, PartsKeepTheirOrderAndTheirErrors) {
  std::string reply;
  begin_reply(reply, 3);
  append(reply, 1, Reason::no_version);
  append_failed(reply, 1, Code::no_model, "nothing");
  append(reply, 0, Reason::exact);
  mark_unready(reply);
  std::vector<PartPeek> parts;
  EXPECT_EQ(peek_reply(reply, parts), Code::ok);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].reason, Reason::no_version);
  EXPECT_EQ(parts[1].code, Code::no_model);
  EXPECT_EQ(parts[2].code, Code::ok);
}

TEST(ReplyPeek, AFailedReplyHasNoParts) {
  std::vector<PartPeek> parts(3);
  EXPECT_EQ(peek_reply(encode_error(Status(Code::overloaded, "later"), 100), parts), Code::overloaded);
  EXPECT_TRUE(parts.empty());
}

TEST(ReplyPeek, WhatIsCutOrChangedIsReadWithinItsBytes) {
  std::string reply;
  begin_reply(reply, 1);
  append(reply, 1, Reason::cold);
  std::vector<PartPeek> parts;
  for (std::size_t size = 0; size < reply.size(); ++size) {
    const std::vector<char> cut(reply.begin(), reply.begin() + static_cast<std::ptrdiff_t>(size));
    peek_reply({cut.data(), cut.size()}, parts);
    EXPECT_LE(parts.size(), 1u);
  }
  for (std::size_t at = 0; at < reply.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::vector<char> changed(reply.begin(), reply.end());
      changed[at] = static_cast<char>(byte);
      const Code code = peek_reply({changed.data(), changed.size()}, parts);
      if (code != Code::ok) {
        EXPECT_TRUE(parts.empty());
      }
      for (const PartPeek& part : parts) EXPECT_LE(part.levels_above, kMaxPartitionLevels);
    }
  }
}

}  // namespace
}  // namespace espalier::wire
