#include "wire/predict_codec.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "common/bytes.h"
#include "tests/support/status_matchers.h"
#include "wire/codec.h"

namespace espalier::wire {
namespace {

PredictRequest sample() {
  PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.refs = {"tag:next"};
  request.budget_us = 250'000;
  request.all_scores = true;
  request.min_epoch = 12;
  request.prediction.bytes.fill(7);
  request.attempt = 2;
  request.principal = "local";
  request.sent_us = 86'400'000'000;
  request.parts = {{{"usa", "ca"}, "u1", 3}, {{}, "", 1}, {{"россия", "", "иваново"}, "u3", 2}};
  return request;
}

TEST(PredictCodec, ReadsWhatTheGeneralCodecWrites) {
  const std::string header = encode(sample());
  PredictHeader read;
  ASSERT_OK(decode_predict(header, read));
  EXPECT_EQ(read.tenant, "acme");
  EXPECT_EQ(read.model, "total");
  EXPECT_EQ(read.ref(), "tag:next");
  EXPECT_EQ(read.budget_us, 250'000);
  EXPECT_TRUE(read.all_scores);
  EXPECT_EQ(read.min_epoch, 12u);
  EXPECT_EQ(read.prediction, sample().prediction);
  EXPECT_EQ(read.attempt, 2u);
  EXPECT_EQ(read.principal, "local");
  EXPECT_EQ(read.sent_us, 86'400'000'000);
  ASSERT_EQ(read.parts.size(), 3u);
  EXPECT_EQ(read.parts[0].rows, 3u);
  EXPECT_EQ(read.partition(read.parts[0])[1], "ca");
  EXPECT_TRUE(read.partition(read.parts[1]).empty());
  EXPECT_EQ(read.partition(read.parts[2])[2], "иваново");
  EXPECT_EQ(read.parts[2].unit, "u3");
}

TEST(PredictCodec, WritesWhatTheGeneralCodecReads) {
  const std::string header = encode(sample());
  PredictHeader read;
  ASSERT_OK(decode_predict(header, read));
  std::string written;
  encode_predict(read, written);
  EXPECT_EQ(to_hex(written), to_hex(header)) << "the two write the same bytes";

  const std::uint32_t chosen[] = {2, 0};
  encode_predict(read, chosen, written);
  ASSERT_OK_AND_ASSIGN(const PredictRequest some, decode<PredictRequest>(written));
  ASSERT_EQ(some.parts.size(), 2u);
  EXPECT_EQ(some.parts[0].unit, "u3");
  EXPECT_EQ(some.parts[1].partition, (std::vector<std::string>{"usa", "ca"}));
  EXPECT_EQ(some.principal, "local");
}

TEST(PredictCodec, TakesDefaultsAndForgetsTheRequestBefore) {
  PredictHeader read;
  ASSERT_OK(decode_predict(encode(sample()), read));
  PredictRequest plain;
  plain.tenant = "b";
  plain.model = "m";
  plain.parts.resize(1);
  const std::string header = encode(plain);
  ASSERT_OK(decode_predict(header, read));
  EXPECT_EQ(read.ref(), "tag:production");
  EXPECT_EQ(read.budget_us, kDefaultBudgetUs);
  EXPECT_FALSE(read.all_scores);
  EXPECT_TRUE(read.prediction.is_nil());
  EXPECT_EQ(read.attempt, 1u);
  EXPECT_EQ(read.parts.size(), 1u);
}

std::string header_of(const std::function<void(PredictRequest&)>& change) {
  PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.parts.resize(1);
  change(request);
  return encode(request);
}

TEST(PredictCodec, RefusesRequests) {
  struct Case {
    std::string header;
    Code code;
    std::string message;
  };
  std::string twice = header_of([](auto&) {});
  twice[0] = static_cast<char>(static_cast<unsigned char>(twice[0]) + 1);
  Writer(twice).text("tenant");
  Writer(twice).text("other");
  for (const Case& c : std::initializer_list<Case>{
           {"", Code::invalid_argument, "header: expected a map, got the end of the bytes"},
           {header_of([](auto& r) { r.tenant.clear(); }), Code::invalid_argument, "tenant: missing"},
           {header_of([](auto& r) { r.model.clear(); }), Code::invalid_argument, "model: missing"},
           {header_of([](auto& r) { r.parts.clear(); }), Code::invalid_argument, "parts: missing or empty"},
           {header_of([](auto& r) { r.parts[0].rows = 0; }), Code::invalid_argument,
            "parts[0].rows: must be at least 1"},
           {header_of([](auto& r) { r.parts[0].partition.resize(9); }), Code::invalid_argument,
            "parts[0].partition: 9 levels, at most 8"},
           {header_of([](auto& r) {
              r.parts[0].partition = {"a", std::string(257, 'x')};
            }),
            Code::invalid_argument, "parts[0].partition[1]: 257 bytes, at most 256"},
           {header_of([](auto& r) { r.parts[0].partition = {"\xff"}; }), Code::invalid_argument,
            "parts[0].partition[0]: the text is not UTF-8"},
           {header_of([](auto& r) { r.parts[0].unit.assign(257, 'x'); }), Code::invalid_argument,
            "parts[0].unit: 257 bytes, at most 256"},
           {header_of([](auto& r) { r.parts.resize(kMaxParts + 1); }), Code::invalid_argument,
            "parts: 65537 parts, at most 65536"},
           {header_of([](auto& r) { r.parts[0].rows = kMaxRowsPerRequest + 1; }), Code::invalid_argument,
            "parts: 1048577 rows, at most 1048576"},
           {header_of([](auto& r) {
              r.refs = {"tag:a", "tag:b"};
            }),
            Code::unimplemented, "refs: this version takes one ref, got 2"},
           {header_of([](auto&) {}) + "x", Code::invalid_argument, "header: 1 bytes too many after the value"},
           {twice, Code::invalid_argument, "tenant: the key comes twice"}}) {
    PredictHeader read;
    const Status status = decode_predict(c.header, read);
    ASSERT_CODE(status, c.code) << c.message;
    EXPECT_EQ(status.message(), c.message);
  }
  const std::string whole = encode(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    PredictHeader read;
    EXPECT_FALSE(decode_predict(std::string_view(whole).substr(0, size), read).ok()) << size;
  }
}

ProvenanceView provenance(std::span<const std::string_view> asked) {
  ProvenanceView view;
  view.asked = asked;
  view.served_levels = 1;
  view.level = "country";
  view.reason = Reason::no_version;
  view.version.bytes.fill(1);
  view.tag = "production";
  view.release.bytes.fill(2);
  view.release_epoch = 11;
  view.arm = "b";
  view.exposed = true;
  view.epoch = 12;
  view.shard = "s0";
  view.prediction.bytes.fill(3);
  view.attempt = 2;
  return view;
}

TEST(PredictCodec, WritesRepliesThatTheGeneralCodecReads) {
  const std::string_view asked[] = {"usa", "ca"};
  std::string header;
  begin_reply(header, 2);
  append_answered(header, 3, provenance(asked));
  append_failed(header, 1, Code::no_model, "nothing here");
  EXPECT_OK(peek_status(header));
  ASSERT_OK_AND_ASSIGN(const PredictReply reply, decode<PredictReply>(header));
  ASSERT_EQ(reply.parts.size(), 2u);
  const Provenance& from = reply.parts[0].provenance;
  EXPECT_EQ(reply.parts[0].rows, 3u);
  EXPECT_EQ(from.asked, (std::vector<std::string>{"usa", "ca"}));
  EXPECT_EQ(from.served, (std::vector<std::string>{"usa"}));
  EXPECT_EQ(from.level, "country");
  EXPECT_EQ(from.reason, Reason::no_version);
  EXPECT_EQ(from.version.bytes[15], 1);
  EXPECT_EQ(from.tag, "production");
  EXPECT_EQ(from.release.bytes[0], 2);
  EXPECT_EQ(from.release_epoch, 11u);
  EXPECT_EQ(from.arm, "b");
  EXPECT_TRUE(from.exposed);
  EXPECT_EQ(from.epoch, 12u);
  EXPECT_EQ(from.shard, "s0");
  EXPECT_EQ(from.prediction.bytes[0], 3);
  EXPECT_EQ(from.attempt, 2u);
  EXPECT_EQ(reply.parts[1].status, Code::no_model);
  EXPECT_EQ(reply.parts[1].message, "nothing here");
}

TEST(PredictCodec, TakesRepliesApartAndPutsThemTogether) {
  const std::string_view asked[] = {"usa", "ca"};
  std::string first;
  begin_reply(first, 2);
  append_answered(first, 3, provenance(asked));
  append_failed(first, 1, Code::deadline_exceeded, "late");
  std::vector<std::string_view> parts;
  ASSERT_OK(split_reply(first, parts));
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(peek_part_status(parts[0]), Code::ok);
  EXPECT_EQ(peek_part_status(parts[1]), Code::deadline_exceeded);

  std::string own;
  append_failed(own, 5, Code::unavailable, "no shard");
  const std::string_view merged[] = {parts[1], own, parts[0]};
  std::string header;
  assemble_reply(merged, header);
  ASSERT_OK_AND_ASSIGN(const PredictReply reply, decode<PredictReply>(header));
  ASSERT_EQ(reply.parts.size(), 3u);
  EXPECT_EQ(reply.parts[1].rows, 5u);
  EXPECT_EQ(reply.parts[2].provenance.shard, "s0");

  EXPECT_CODE(split_reply(encode_error(not_found("x")), parts), Code::not_found);
  EXPECT_CODE(split_reply(header.substr(0, header.size() - 1), parts), Code::corrupt);
  EXPECT_CODE(split_reply(header + "x", parts), Code::corrupt);
  EXPECT_CODE(split_reply("", parts), Code::corrupt);
  EXPECT_EQ(peek_part_status(""), Code::corrupt);
  EXPECT_EQ(peek_part_status("\x81\xa6status\x7f"), Code::corrupt);
}

TEST(Predict, BeginsAsOneOnlyWherePeekOpSaysSo) {
  PredictRequest request;
  request.tenant = "acme";
  request.model = "duration";
  const std::string usual = encode(request);
  EXPECT_TRUE(begins_as_predict(usual));
  for (std::size_t bytes = 0; bytes < usual.size(); ++bytes) {
    const std::string_view cut = std::string_view(usual).substr(0, bytes);
    if (!begins_as_predict(cut)) continue;
    ASSERT_OK_AND_ASSIGN(const std::string op, peek_op(cut));
    EXPECT_EQ(op, "predict");
  }
  for (std::size_t place = 0; place < 17; ++place) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string other = usual;
      other[place] = static_cast<char>(byte);
      if (!begins_as_predict(other)) continue;
      ASSERT_OK_AND_ASSIGN(const std::string op, peek_op(other));
      EXPECT_EQ(op, "predict");
    }
  }
  EXPECT_FALSE(begins_as_predict(encode(HelloRequest{"router"})));
}

}  // namespace
}  // namespace espalier::wire
