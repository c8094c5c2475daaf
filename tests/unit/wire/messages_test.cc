#include "wire/messages.h"

#include <gtest/gtest.h>

#include <string>

#include "common/bytes.h"
#include "tests/support/status_matchers.h"
#include "wire/codec.h"

namespace espalier::wire {
namespace {

Uuid uuid(unsigned char n) {
  Uuid id;
  id.bytes.fill(n);
  return id;
}
Hash256 hash(unsigned char n) {
  Hash256 h;
  h.bytes.fill(n);
  return h;
}

/// There and back gives the same bytes, and a second message decoded from them is the same.
template <class T>
T there_and_back(const T& message) {
  const std::string bytes = encode(message);
  Result<T> again = decode<T>(bytes);
  EXPECT_OK(again.status());
  EXPECT_EQ(to_hex(encode(*again)), to_hex(bytes));
  return *again;
}

TEST(Messages, GoThereAndBack) {
  const Change change{7, 6, -5, ChangeKind::release, "acme", "total", "production", uuid(1), 4500};
  const AckFailure failure{"acme", "total", {"usa", "ca"}, uuid(2), "hash differs"};
  const TagEntry entry{{"usa"}, EntryKind::removed, uuid(3), hash(4), 700, uuid(5), 9};
  const model::Field field{"age", model::FieldType::text};
  const VersionRecord version{uuid(1), {"usa", ""}, hash(2), 3,       hash(4), hash(5), uuid(6), uuid(7),
                              8,       "{}",        "",      "local", 1,       2,       "",      {{"owner", "eta"}}};

  EXPECT_EQ(there_and_back(HelloRequest{"shard"}).role, "shard");
  EXPECT_EQ(there_and_back(HelloReply{1, 2, "0.1.0"}).version, "0.1.0");
  EXPECT_EQ(there_and_back(JoinRequest{uuid(9), {"s0", {"ipc://a", "tcp://b"}, 0.5}}).shard.weight, 0.5);
  EXPECT_EQ(there_and_back(LeaveRequest{uuid(9), "s0"}).shard, "s0");
  EXPECT_EQ(there_and_back(EpochReply{3, ~0ull}).epoch, ~0ull);
  there_and_back(ViewRequest{});
  cluster::View view{5, {{"s0", {"ipc://a"}, 1}, {"s1", {}, 2}}, 3, 2, {{"acme", {7, 0}}, {"big", {9, 9}}}};
  const ViewReply view_again = there_and_back(ViewReply{1, 2, view});
  EXPECT_EQ(view_again.view.tenants.at("acme").spread, 7u);
  EXPECT_EQ(view_again.view.shards[1].name, "s1");
  EXPECT_EQ(there_and_back(FeedRequest{1, 2, 0, 5}).credit, 0u) << "a value that is not the default though zero";
  EXPECT_EQ(there_and_back(FeedReply{1, 2, true, {change, change}}).changes[1].time_us, -5);
  EXPECT_EQ(there_and_back(ChangedEntriesRequest{4, std::string("\0\xff", 2), 1}).cursor, std::string("\0\xff", 2));
  EXPECT_EQ(there_and_back(TagEntriesRequest{"a", "m", "t", 1, {"x"}, "c", 2}).under[0], "x");
  EXPECT_EQ(there_and_back(EntriesReply{1, {entry}, "c"}).entries[0].kind, EntryKind::removed);
  EXPECT_EQ(there_and_back(ModelsRequest{"a", "m", 1, "c", 3}).limit, 3u);
  const ModelRecord model{"a", "m", "{}", hash(1), model::Task::multiclass, {"country"}, 1, {field}, {"production"}};
  EXPECT_EQ(there_and_back(ModelsReply{1, 2, {model}, ""}).models[0].fields[0], field);
  EXPECT_EQ(there_and_back(AckRequest{"s0", 1, 2, {failure}}).failed[0].why, "hash differs");
  there_and_back(AckReply{});
  EXPECT_EQ(there_and_back(WaitRequest{5, 6}).wait_us, 6);
  EXPECT_EQ(there_and_back(WaitReply{true, {"s1"}, {failure}}).missing[0], "s1");
  EXPECT_EQ(there_and_back(FetchRequest{"a", {hash(1), hash(2)}, 0}).max_bytes, 0u);
  EXPECT_EQ(there_and_back(FetchReply{{hash(1)}, {hash(2)}, 2}).missing[0], hash(2));
  EXPECT_EQ(there_and_back(UploadRequest{"a", {hash(3)}}).artefacts[0], hash(3));
  EXPECT_EQ(there_and_back(UploadReply{1, 2}).known, 2u);
  EXPECT_EQ(there_and_back(PublishRequest{uuid(1), "a", "m", "t", uuid(2), "{}", {field}, "{}", false}).replace, false);
  EXPECT_EQ(there_and_back(MoveRequest{uuid(1), "a", "m", "t", uuid(2), uuid(3), "back"}).note, "back");
  EXPECT_EQ(there_and_back(ReleaseReply{1, 2, uuid(3), 4}).moved, 4u);
  EXPECT_EQ(there_and_back(ReleasesRequest{"a", "m", uuid(1), "c", 2}).limit, 2u);
  EXPECT_EQ(there_and_back(ReleasesReply{{{uuid(1), 2, 3, "t", "p", "n", "{}", 4}}, "c"}).releases[0].note, "n");
  EXPECT_EQ(there_and_back(VersionsRequest{"a", "m", uuid(1), {"x"}, "c", 2}).version, uuid(1));
  EXPECT_EQ(there_and_back(VersionsReply{{version}, ""}).versions[0].partition[1], "");

  const std::string records = encode_array(std::vector<VersionRecord>{version, version});
  ASSERT_OK_AND_ASSIGN(const auto versions, decode_array<VersionRecord>(records));
  EXPECT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[1].rows, 8u);
}

TEST(Messages, PredictGoesThereAndBack) {
  PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.refs = {"tag:next"};
  request.parts = {{{"usa", "ca"}, "user 7", 3}, {{}, "", 1}};
  request.prediction = uuid(8);
  const PredictRequest again = there_and_back(request);
  EXPECT_EQ(again.parts[0].unit, "user 7");
  EXPECT_EQ(again.parts[1].rows, 1u);
  EXPECT_EQ(*peek_op(encode(request)), "predict");

  PredictReply reply;
  reply.parts.resize(2);
  reply.parts[0].provenance.reason = Reason::removed;
  reply.parts[1].status = Code::no_model;
  const PredictReply reply_again = there_and_back(reply);
  EXPECT_EQ(reply_again.parts[0].provenance.reason, Reason::removed);
  EXPECT_EQ(reply_again.parts[1].status, Code::no_model);
  EXPECT_OK(peek_status(encode(reply)));
  reply.status = Code::overloaded;
  reply.retry_after_us = 5;
  EXPECT_EQ(there_and_back(reply).retry_after_us, 5);
  EXPECT_CODE(peek_status(encode(reply)), Code::overloaded);
}

TEST(Messages, UnknownKeysAreIgnoredAndDefaultsLeftOut) {
  std::string header;
  Writer writer(header);
  writer.map(3);
  writer.text("later");
  writer.map(1);
  writer.array(1);
  writer.nil();
  writer.number(1);
  writer.text("role");
  writer.text("shard");
  writer.text("v");
  writer.number(1);
  ASSERT_OK_AND_ASSIGN(const HelloRequest hello, decode<HelloRequest>(header));
  EXPECT_EQ(hello.role, "shard");
  EXPECT_EQ(to_hex(encode(AckReply{})), "80");
  EXPECT_EQ(to_hex(encode_reply(Status(), AckReply{})), "81a673746174757300");
}

TEST(Messages, RepliesCarryFailures) {
  const std::string failed = encode_reply(not_found("model a/m"), EpochReply{1, 2});
  EXPECT_CODE(decode_reply<EpochReply>(failed), Code::not_found);
  EXPECT_EQ(decode_reply<EpochReply>(failed).status().message(), "model a/m");
  ASSERT_OK_AND_ASSIGN(const auto reply, decode_reply<EpochReply>(encode_reply(Status(), EpochReply{1, 2})));
  EXPECT_EQ(reply.epoch, 2u);
  EXPECT_CODE(peek_status(encode_error(Status(Code::overloaded, "later"), 9)), Code::overloaded);
}

TEST(Messages, RefuseAndNameThePlace) {
  struct Case {
    const char* hex;
    const char* message;
  };
  // Every line is a map with what is said to be wrong in it.
  for (const Case& c : std::initializer_list<Case>{
           {"", "header: expected a map, got the end of the bytes"},
           {"90", "header: expected a map, got an array"},
           {"c1", "header: expected a map, got the reserved byte 0xc1"},
           {"8101a0", "header: expected text, got an unsigned integer"},
           {"81", "header: the bytes end before its 1 elements"},
           {"81a56566616374", "efact: the bytes end within it"},
           {"80c0", "header: 1 bytes too many after the value"},
           {"81a56d6f64656c01", "model: expected text, got an unsigned integer"},
           {"82a56d6f64656ca0a56d6f64656ca0", "model: the key comes twice"},
           {"81a56d6f64656ca1ff", "model: the text is not UTF-8"},
           {"81a571756565"
            "72dd00100000",
            "queer: the bytes end within it"},
           {"81a57061727473c0", "parts: expected an array, got nil"},
           {"81a570617274739101", "parts[0]: expected a map, got an unsigned integer"},
           {"81a57061727473"
            "92"
            "80"
            "81a4726f7773a178",
            "parts[1].rows: expected an unsigned integer, got text"},
           {"81a57061727473"
            "91"
            "81a4726f7773cf0000000100000000",
            "parts[0].rows: must be at most 4294967295, is 4294967296"},
           {"81a57061727473"
            "91"
            "81a9706172746974696f6e93a161a162c0",
            "parts[0].partition[2]: expected text, got nil"},
           {"81aa70726564696374696f6ec40100", "prediction: expected 16 bytes of binary, got 1"}}) {
    const auto bytes = from_hex(c.hex);
    ASSERT_TRUE(bytes.has_value()) << c.hex;
    const auto decoded = decode<PredictRequest>(*bytes);
    ASSERT_CODE(decoded, Code::invalid_argument) << c.hex;
    EXPECT_EQ(decoded.status().message(), c.message);
  }
  EXPECT_CODE(decode<Change>(*from_hex("81a46b696e6404")), Code::invalid_argument) << "kind 4 does not exist";
}

TEST(Messages, ASmallMessageCannotAskForMuchMemory) {
  // A million empty records, a byte each, would become hundreds of megabytes.
  std::string records;
  Writer writer(records);
  writer.array(1'000'000);
  records.append(1'000'000, static_cast<char>(0x80));
  const auto decoded = decode_array<VersionRecord>(records);
  ASSERT_CODE(decoded, Code::invalid_argument);
  EXPECT_EQ(decoded.status().message(), "records: more elements than a message of this size may have");
}

TEST(PeekOp, SaysWhatIsAskedAndByWhichProtocol) {
  EXPECT_EQ(*peek_op(encode(ViewRequest{})), "view");
  struct Case {
    const char* hex;
    Code code;
    const char* message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"80", Code::invalid_argument, "header: no op"},
           {"93", Code::invalid_argument, "header: expected a map, got an array"},
           {"81a26f7001", Code::invalid_argument, "op: expected text, got an unsigned integer"},
           {"81a26f70a0", Code::invalid_argument, "op: empty"},
           {"82a17602a26f70a178", Code::unimplemented, "v: protocol 2 is newer than 1, the newest known here"},
           {"82a17600a26f70a178", Code::invalid_argument, "v: there is no protocol 0"},
           {"82a176a131a26f70a178", Code::invalid_argument, "v: expected an unsigned integer, got text"}}) {
    const auto op = peek_op(*from_hex(c.hex));
    ASSERT_CODE(op, c.code) << c.hex;
    EXPECT_EQ(op.status().message(), c.message);
  }
}

TEST(PeekStatus, RefusesWhatIsNoReply) {
  for (const char* hex : {"", "80", "c1", "81a26f7001", "81a6737461747573a0", "82a673746174757301a76d65737361676501"}) {
    EXPECT_CODE(peek_status(*from_hex(hex)), Code::corrupt) << hex;
  }
  EXPECT_CODE(peek_status(*from_hex("81a673746174757363")), Code::internal) << "a code of a later version";
}

TEST(ReasonName, NamesAll) {
  for (unsigned i = 0; i <= static_cast<unsigned>(Reason::removed); ++i) {
    EXPECT_NE(reason_name(static_cast<Reason>(i)), "unknown");
  }
  EXPECT_EQ(reason_name(static_cast<Reason>(99)), "unknown");
}

}  // namespace
}  // namespace espalier::wire
