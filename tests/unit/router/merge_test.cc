#include "router/merge.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "wire/messages.h"
#include "wire/predict_codec.h"

namespace espalier::router {
namespace {

/// A shard's reply: a part for each of `levels`, which also names it; "!" fails the part.
std::string reply_of(const std::vector<std::string>& levels) {
  std::string header;
  wire::begin_reply(header, static_cast<std::uint32_t>(levels.size()));
  for (const std::string& level : levels) {
    if (level == "!") {
      wire::append_failed(header, 1, Code::invalid_argument, "rows[0].x: expected a number, got text");
      continue;
    }
    wire::ProvenanceView provenance;
    provenance.level = level;
    wire::append_answered(header, 1, provenance);
  }
  return header;
}

/// The reply, or what it failed with as a whole.
Result<wire::PredictReply> read_reply(std::string_view header) {
  ASSIGN_OR_RETURN(wire::PredictReply reply, wire::decode<wire::PredictReply>(header));
  if (reply.status != Code::ok) return Status(reply.status, reply.message);
  return reply;
}

struct Read {
  Code status = Code::ok;
  std::string parts;   ///< levels, or codes of failed parts, in order
  std::string bodies;  ///< piece.body of each part, "-" for none
};

Read read(const Merged& merged) {
  Read read;
  for (const BodyPlace& place : merged.bodies) {
    read.bodies +=
        place.piece == BodyPlace::kNone ? "- " : std::to_string(place.piece) + "." + std::to_string(place.body) + " ";
  }
  const auto reply = read_reply(merged.header);
  if (!reply.ok()) {
    read.status = reply.status().code();
    return read;
  }
  for (const wire::PartAnswered& part : reply->parts) {
    read.parts += (part.status == Code::ok ? part.provenance.level : std::string(code_name(part.status))) + " ";
  }
  return read;
}

const std::vector<std::uint32_t> kFour = {1, 1, 1, 1};
const std::vector<std::uint32_t> kFirst = {0, 3};
const std::vector<std::uint32_t> kSecond = {1, 2};

TEST(Merge, PutsPartsIntoTheOrderAsked) {
  const std::string one = reply_of({"a", "d"});
  const std::string two = reply_of({"b", "c"});
  const PieceReply pieces[] = {{kFirst, {}, one, 2}, {kSecond, {}, two, 2}};
  const Read got = read(merge_replies(pieces, kFour));
  EXPECT_EQ(got.parts, "a b c d ");
  EXPECT_EQ(got.bodies, "0.0 1.0 1.1 0.1 ");
}

TEST(Merge, APartThatAShardRefusedKeepsItsOwnStatus) {
  const std::string one = reply_of({"a", "!"});
  const std::string two = reply_of({"b", "c"});
  const PieceReply pieces[] = {{kFirst, {}, one, 2}, {kSecond, {}, two, 2}};
  EXPECT_EQ(read(merge_replies(pieces, kFour)).parts, "a b c invalid_argument ");
}

TEST(Merge, APieceWithoutUsableReplyFailsItsPartsOnly) {
  const std::string good = reply_of({"b", "c"});
  const std::string too_few = reply_of({"a"});
  const std::string refused = wire::encode_error(not_found("model acme/total"));
  const std::string garbage = "\xc1";
  struct Case {
    std::string what;
    PieceReply piece;
    std::string code;
  };
  const Case cases[] = {
      {"silence", {kFirst, Status(Code::deadline_exceeded, "no shard answered"), {}, 0}, "deadline_exceeded"},
      {"nobody there", {kFirst, unavailable("no shard can be reached"), {}, 0}, "unavailable"},
      {"refused as a whole", {kFirst, {}, refused, 0}, "not_found"},
      {"a part too few", {kFirst, {}, too_few, 1}, "corrupt"},
      {"a body too few", {kFirst, {}, good, 1}, "corrupt"},
      {"a body too many", {kFirst, {}, good, 3}, "corrupt"},
      {"no msgpack", {kFirst, {}, garbage, 2}, "corrupt"},
      {"nothing", {kFirst, {}, {}, 2}, "corrupt"},
  };
  for (const Case& c : cases) {
    const PieceReply pieces[] = {c.piece, {kSecond, {}, good, 2}};
    const Read got = read(merge_replies(pieces, kFour));
    EXPECT_EQ(got.status, Code::ok) << c.what;
    EXPECT_EQ(got.parts, c.code + " b c " + c.code + " ") << c.what;
    EXPECT_EQ(got.bodies, "- 1.0 1.1 - ") << c.what;
  }
}

TEST(Merge, WhatFailsAsOneFailsAsAWhole) {
  const std::string refused = wire::encode_error(not_found("model acme/total"));
  const PieceReply alike[] = {{kFirst, {}, refused, 0}, {kSecond, {}, refused, 0}};
  const Read whole = read(merge_replies(alike, kFour));
  EXPECT_EQ(whole.status, Code::not_found);
  EXPECT_EQ(whole.bodies, "");

  const PieceReply different[] = {{kFirst, {}, refused, 0}, {kSecond, unavailable("no shard can be reached"), {}, 0}};
  const Read each = read(merge_replies(different, kFour));
  EXPECT_EQ(each.status, Code::ok);
  EXPECT_EQ(each.parts, "not_found unavailable unavailable not_found ");
}

}  // namespace
}  // namespace espalier::router
