// The registry's pure rules: schema, levels, view, acknowledgements, cursors and the bytes of its small records.
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "registry/acks.h"
#include "registry/artefacts.h"
#include "registry/membership.h"
#include "registry/models.h"
#include "registry/reading.h"
#include "registry/tags.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

using model::FieldType;
using Fields = std::vector<model::Field>;

TEST(Schema, FieldsKeepTheirPlaceAndNewOnesFollow) {
  const Fields existing = {{"b", FieldType::number}, {"a", FieldType::text}};
  ASSERT_OK_AND_ASSIGN(const Fields same, evolve_schema(existing, {}));
  EXPECT_EQ(same, existing);
  ASSERT_OK_AND_ASSIGN(
      const Fields more,
      evolve_schema(existing, {{"c", FieldType::text}, {"a", FieldType::text}, {"A", FieldType::number}}));
  EXPECT_EQ(
      more,
      (Fields{{"b", FieldType::number}, {"a", FieldType::text}, {"c", FieldType::text}, {"A", FieldType::number}}));
}

TEST(Schema, Refuses) {
  const Fields existing = {{"a", FieldType::text}};
  Fields many(kMaxFields, {"", FieldType::number});
  for (std::size_t i = 0; i < many.size(); ++i) many[i].name = "f" + std::to_string(i);
  struct Row {
    const char* name;
    Fields proposed;
    Code code;
  };
  const std::vector<Row> table = {
      {"another type", {{"a", FieldType::number}}, Code::failed_precondition},
      {"twice", {{"b", FieldType::number}, {"b", FieldType::number}}, Code::invalid_argument},
      {"twice, known", {{"a", FieldType::text}, {"a", FieldType::text}}, Code::invalid_argument},
      {"empty", {{"", FieldType::number}}, Code::invalid_argument},
      {"long", {{std::string(kMaxFieldNameBytes + 1, 'x'), FieldType::number}}, Code::invalid_argument},
      {"not UTF-8", {{"\xC0\x80", FieldType::number}}, Code::invalid_argument},
      {"too many", many, Code::invalid_argument},
  };
  for (const Row& row : table) EXPECT_CODE(evolve_schema(existing, row.proposed), row.code) << row.name;
}

TEST(Levels, CanOnlyBeAppended) {
  struct Row {
    Path existing, proposed;
    Code code;
    Path result;
  };
  const std::vector<Row> table = {
      {{}, {}, Code::ok, {}},
      {{}, {"a", "b"}, Code::ok, {"a", "b"}},
      {{"a"}, {"a", "b"}, Code::ok, {"a", "b"}},
      {{"a", "b"}, {"a"}, Code::ok, {"a", "b"}},
      {{"a", "b"}, {}, Code::ok, {"a", "b"}},
      {{"a", "b"}, {"b", "a"}, Code::failed_precondition, {}},
      {{"a", "b"}, {"a", "c"}, Code::failed_precondition, {}},
      {{"a"}, {"b", "a"}, Code::failed_precondition, {}},
      {{"a", "b"}, {"b"}, Code::failed_precondition, {}},
  };
  for (const Row& row : table) {
    const auto levels = evolve_levels(row.existing, row.proposed);
    EXPECT_CODE(levels, row.code);
    if (!levels.ok()) continue;
    EXPECT_EQ(*levels, row.result);
  }
}

TEST(Membership, RefusesAShardThatCantBeUsed) {
  const cluster::ShardInfo good = {"s0", {"tcp://127.0.0.1:1", "ipc:///x"}, 1};
  EXPECT_OK(check_shard(good));
  const std::vector<std::pair<const char*, std::function<void(cluster::ShardInfo&)>>> table = {
      {"shard.name", [](auto& s) { s.name = ""; }},
      {"shard.name", [](auto& s) { s.name = "S 0"; }},
      {"shard.endpoints", [](auto& s) { s.endpoints.clear(); }},
      {"shard.endpoints", [](auto& s) { s.endpoints.assign(kMaxEndpoints + 1, "tcp://h:1"); }},
      {"shard.endpoints[1]", [](auto& s) { s.endpoints[1] = "ipc://"; }},
      {"shard.endpoints[0]", [](auto& s) { s.endpoints[0] = "http://host:1"; }},
      {"shard.endpoints[0]", [](auto& s) { s.endpoints[0] = "tcp://" + std::string(2000, 'h'); }},
      {"shard.weight", [](auto& s) { s.weight = 0; }},
      {"shard.weight", [](auto& s) { s.weight = -1; }},
      {"shard.weight", [](auto& s) { s.weight = 1e9; }},
      {"shard.weight", [](auto& s) { s.weight = std::numeric_limits<double>::quiet_NaN(); }},
  };
  for (const auto& [where, change] : table) {
    cluster::ShardInfo shard = good;
    change(shard);
    const Status status = check_shard(shard);
    EXPECT_CODE(status, Code::invalid_argument);
    EXPECT_TRUE(status.message().starts_with(where)) << status.text();
  }
}

TEST(Membership, TheViewIsSortedAndNumberedOnByRealChangesOnly) {
  cluster::View view;
  for (const char* name : {"b", "a", "c"}) view = with_shard(view, {name, {"ipc:///x"}, 1}).value();
  EXPECT_EQ(view.number, 3u);
  EXPECT_EQ(view.shards[0].name, "a");
  EXPECT_EQ(view.shards[2].name, "c");
  EXPECT_FALSE(with_shard(view, {"b", {"ipc:///x"}, 1}));
  EXPECT_FALSE(without_shard(view, "d"));
  EXPECT_EQ(with_shard(view, {"b", {"ipc:///y"}, 1})->number, 4u);
  EXPECT_EQ(with_shard(view, {"b", {"ipc:///x"}, 2})->shards[1].weight, 2);
  EXPECT_EQ(without_shard(view, "b")->shards.size(), 2u);
}

TEST(Acks, AFailureIsToldForTheReleaseThatTheShardFirstAcknowledgedItWith) {
  cluster::View view;
  view.shards = {{"s0", {}, 1}};
  Acks acks;
  EXPECT_EQ(acks.state(view, 1).missing, Path{"s0"});
  acks.take({"s0", 1, 3, {{"acme", "total", {}, {}, "three"}}});
  acks.take({"s0", 1, 2, {{"acme", "total", {}, {}, "late"}}});
  acks.take({"s0", 1, 5, {}});
  EXPECT_EQ(acks.state(view, 2).failed[0].why, "three");
  EXPECT_EQ(acks.state(view, 3).failed[0].why, "three");
  EXPECT_TRUE(acks.state(view, 4).failed.empty());
  EXPECT_TRUE(acks.state(view, 5).served);
  EXPECT_FALSE(acks.state(view, 6).served);
  acks.forget("s0");
  EXPECT_FALSE(acks.state(view, 2).served);
  EXPECT_FALSE(acks.state(cluster::View{}, 0).served);
}

TEST(Cursor, OnlyWhatAReplyGaveIsTaken) {
  const PageCursor cursor{7, std::string("a\0b", 3)};
  ASSERT_OK_AND_ASSIGN(const PageCursor back, PageCursor::parse(cursor.text()));
  EXPECT_EQ(back.epoch, 7u);
  EXPECT_EQ(back.position, cursor.position);
  EXPECT_OK(PageCursor::parse(""));
  EXPECT_CODE(PageCursor::parse("1234567"), Code::invalid_argument);
  EXPECT_CODE(PageCursor::parse(std::string(8, '\0')), Code::invalid_argument);
}

TEST(Records, ATagsEntryComesBackAndDamageIsSeen) {
  wire::TagEntry entry;
  entry.version = uuid('v', 1);
  entry.artefact = blake2b_256("x");
  entry.artefact_bytes = 700;
  entry.release = uuid('r', 2);
  for (const auto kind : {wire::EntryKind::version, wire::EntryKind::removed, wire::EntryKind::unset}) {
    entry.kind = kind;
    const std::string bytes = encode_entry(entry);
    ASSERT_OK_AND_ASSIGN(const auto back, decode_entry(bytes));
    EXPECT_EQ(back.kind, kind);
    EXPECT_EQ(back.version, kind == wire::EntryKind::version ? entry.version : Uuid{});
    EXPECT_EQ(back.release, entry.release);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      EXPECT_CODE(decode_entry(std::string_view(bytes).substr(0, cut)), Code::corrupt);
    }
    EXPECT_CODE(decode_entry(bytes + "x"), Code::corrupt);
  }
  EXPECT_CODE(decode_entry("\x03" + std::string(16, 'r')), Code::corrupt);
}

TEST(Records, AnArtefactsRecordComesBackAndDamageIsSeen) {
  const Fields fields = {{"age", FieldType::number}, {"sex", FieldType::text}};
  ArtefactRecord record{700, model::Task::multiclass, blake2b_256("base"), encode_inputs(fields), 1'700};
  const std::string bytes = encode_artefact(record);
  ASSERT_OK_AND_ASSIGN(const auto back, decode_artefact(bytes));
  EXPECT_EQ(back.bytes, 700u);
  EXPECT_EQ(back.task, record.task);
  EXPECT_EQ(back.base, record.base);
  EXPECT_EQ(back.uploaded_us, 1'700);
  ASSERT_OK_AND_ASSIGN(const Fields read, fields_of(back.inputs));
  EXPECT_EQ(read, fields);
  // Records of before uploads were dated end there.
  const std::size_t undated = bytes.size() - sizeof record.uploaded_us;
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const auto cut_short = decode_artefact(std::string_view(bytes).substr(0, cut));
    if (cut == undated) {
      ASSERT_OK(cut_short);
      EXPECT_EQ(cut_short->inputs, record.inputs);
      EXPECT_EQ(cut_short->uploaded_us, 0);
    } else {
      EXPECT_CODE(cut_short, Code::corrupt) << cut;
    }
  }
  EXPECT_CODE(decode_artefact(bytes + "x"), Code::corrupt);
  EXPECT_CODE(fields_of(record.inputs + "x"), Code::corrupt);
}

}  // namespace
}  // namespace espalier::registry
