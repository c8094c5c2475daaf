// One message of each kind with every member set, as docs/wire-protocol.md shows them in hex.
//
// Thread safety: pure functions.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/wire/audit_samples.h"
#include "tests/unit/wire/dataset_samples.h"
#include "tests/unit/wire/key_samples.h"
#include "tests/unit/wire/log_samples.h"
#include "tests/unit/wire/membership_samples.h"
#include "tests/unit/wire/moving_samples.h"
#include "tests/unit/wire/process_samples.h"
#include "tests/unit/wire/run_samples.h"
#include "tests/unit/wire/search_samples.h"
#include "tests/unit/wire/space_samples.h"
#include "tests/unit/wire/tag_samples.h"
#include "tests/unit/wire/trace_samples.h"
#include "tests/unit/wire/upkeep_samples.h"
#include "wire/codec.h"
#include "wire/messages.h"
#include "wire/predict_codec.h"
#include "wire/row_codec.h"

namespace espalier::wire::samples {

inline Uuid uuid(unsigned char last) {
  Uuid id = *Uuid::parse("019a9d3c-4be0-7000-8000-000000000000");
  id.bytes[15] = last;
  return id;
}

inline Hash256 hash(unsigned char last) {
  Hash256 h;
  for (std::size_t i = 0; i < h.bytes.size(); ++i) h.bytes[i] = static_cast<unsigned char>(0xa0 + i);
  h.bytes[31] = last;
  return h;
}

inline const std::vector<std::string> kTown = {"usa", "ca", "fresno"};

inline std::string predict_request() {
  PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.refs = {"tag:production"};
  request.budget_us = 250'000;
  request.parts = {{kTown, "user 7", 1}};
  return encode(request);
}

/// The same between router and shard.
inline std::string predict_request_of_router() {
  PredictRequest request = *decode<PredictRequest>(predict_request());
  request.budget_us = 249'700;
  request.all_scores = true;
  request.min_epoch = 12;
  request.prediction = uuid(1);
  request.attempt = 2;
  request.principal = "local";
  request.sent_us = 86'400'000'000;
  return encode(request);
}

inline std::string rows_body() {
  return encode_rows(
      std::vector<NamedRow>{{{"sex", model::Value::of("M")}, {"bodyweight_kg", model::Value::of(81.5)}}});
}

/// {"columns": {"sex": ["M", "F"], "bodyweight_kg": [81.5, nil]}}
inline std::string columns_body() {
  std::string body;
  Writer writer(body);
  writer.map(1);
  writer.key("columns");
  writer.map(2);
  writer.key("sex");
  writer.array(2);
  writer.text("M");
  writer.text("F");
  writer.key("bodyweight_kg");
  writer.array(2);
  writer.real(81.5);
  writer.nil();
  return body;
}

inline std::string vectors_body() {
  return encode_vectors(2, std::vector<model::Value>{model::Value::of("M"), model::Value::of(81.5)});
}

inline std::string predict_reply() {
  std::string header;
  const std::string_view asked[] = {kTown[0], kTown[1], kTown[2]};
  ProvenanceView provenance;
  provenance.asked = asked;
  provenance.served_levels = 2;
  provenance.level = "state";
  provenance.reason = Reason::no_version;
  provenance.version = uuid(2);
  provenance.tag = "production";
  provenance.release = uuid(3);
  provenance.release_epoch = 11;
  provenance.arm = "b";
  provenance.exposed = true;
  provenance.epoch = 12;
  provenance.shard = "s0";
  provenance.prediction = uuid(1);
  provenance.attempt = 2;
  begin_reply(header, 1);
  append_answered(header, 1, provenance);
  return header;
}

inline std::string predict_reply_with_failed_part() {
  std::string header;
  begin_reply(header, 1);
  append_failed(header, 1, Code::no_model, "acme/total has no ready node");
  return header;
}

inline std::string value_body() {
  AnswerWriter writer;
  writer.begin(model::Task::regression, {}, false);
  writer.add({512.5, 0, {}});
  std::string body;
  writer.finish(body);
  return body;
}

inline std::string label_body() {
  AnswerWriter writer;
  const std::string_view classes[] = {"no", "yes"};
  writer.begin(model::Task::binary, classes, true);
  writer.add({0.75, 1, {0.25, 0.75}});
  std::string body;
  writer.finish(body);
  return body;
}

inline AckFailure failure() { return {"acme", "total", kTown, uuid(2), "the artefact's hash differs"}; }
inline TagEntry entry() { return {kTown, EntryKind::removed, uuid(2), hash(2), 704, uuid(3), 11, "archived"}; }
inline VersionRecord version() {
  return {uuid(2),
          kTown,
          hash(2),
          704,
          hash(1),
          hash(3),
          uuid(3),
          uuid(4),
          1200,
          R"({"rmse":84.5})",
          R"({"seconds":0.1})",
          "local",
          1'763'672'558'000'000,
          11,
          "weekly",
          {{"owner", "eta"}}};
}

/// Name and bytes of each block of the document.
inline std::vector<std::pair<std::string, std::string>> all() {
  cluster::View view{5, {{"s0", {"ipc:///run/s0.sock"}, 2, "rack-1", cluster::ShardState::draining}}, 3, 1, {}, {}};
  view.tenants["acme"] = {8, 2, 500, 100};
  view.hot_nodes = {{"acme", "total", {"usa", "ca"}, 3}};
  const Change change{
      11,   10, 1'763'672'558'000'000,       ChangeKind::release, "acme", "total", "production", uuid(3),
      4500, 3,  {{"archived", uuid(5), 120}}};
  const model::Field field{"sex", model::FieldType::text};
  const ModelRecord model{"acme",      "total", R"({"model":{}})", hash(3),  model::Task::multiclass,
                          {"country"}, 1,       {field},           {"next"}, {{"next", "production"}}};
  const ReleaseRecord release{uuid(3), 11, 1'763'672'558'000'000, "production", "local", "weekly", "{}", 4500};
  std::vector<std::pair<std::string, std::string>> messages = {
      {"predict.request", predict_request()},
      {"predict.request.router", predict_request_of_router()},
      {"predict.body.rows", rows_body()},
      {"predict.body.columns", columns_body()},
      {"predict.body.vectors", vectors_body()},
      {"predict.reply", predict_reply()},
      {"predict.reply.part", predict_reply_with_failed_part()},
      {"predict.reply.body.value", value_body()},
      {"predict.reply.body.label", label_body()},
      {"error", encode_error(Status(Code::overloaded, "queue full"), 20'000)},
      {"hello.request", encode(HelloRequest{"shard"})},
      {"hello.reply", encode_reply(Status(), HelloReply{1, 12, "0.1.0"})},
      {"join.request", encode(JoinRequest{uuid(9), view.shards[0], uuid(5)})},
      {"join.reply", encode_reply(Status(), EpochReply{1, 12})},
      {"leave.request", encode(LeaveRequest{uuid(9), "s0"})},
      {"view.request", encode(ViewRequest{})},
      {"view.reply", encode_reply(Status(), ViewReply{1, 12, view})},
      {"feed.request", encode(FeedRequest{1, 10, 16, 5'000'000})},
      {"feed.reply", encode_reply(Status(), FeedReply{1, 12, true, {change}})},
      {"changed_entries.request", encode(ChangedEntriesRequest{11, "\x01\x02", 1000})},
      {"tag_entries.request",
       encode(TagEntriesRequest{"acme", "total", "production", 11, {"usa"}, "\x01\x02", 1000, 1'763'672'558'000'000})},
      {"entries.reply", encode_reply(Status(), EntriesReply{11, {entry()}, "\x01\x02"})},
      {"models.request", encode(ModelsRequest{"acme", "total", 11, "\x01\x02", 100, 1'763'672'558'000'000})},
      {"models.reply", encode_reply(Status(), ModelsReply{1, 11, {model}, "\x01\x02"})},
      {"ack.request", encode(AckRequest{"s0", 1, 11, {failure()}, uuid(5), 12, "resource_exhausted"})},
      {"ack.reply", encode_reply(Status(), AckReply{})},
      {"wait.request", encode(WaitRequest{11, 10'000'000})},
      {"wait.reply", encode_reply(Status(), WaitReply{true, {"s1"}, {failure()}})},
      {"fetch.request", encode(FetchRequest{"acme", {hash(2)}, 65536})},
      {"fetch.reply", encode_reply(Status(), FetchReply{{hash(2)}, {hash(1)}, 2})},
      {"upload.request", encode(UploadRequest{"acme", {hash(2)}})},
      {"upload.reply", encode_reply(Status(), UploadReply{1, 1})},
      {"publish.request",
       encode(PublishRequest{
           uuid(9), "acme", "total", "production", uuid(3), R"({"model":{}})", {field}, "{}", false, uuid(5), true})},
      {"publish.body", encode_array(std::vector<VersionRecord>{version()})},
      {"move.request",
       encode(MoveRequest{uuid(9), "acme", "total", "production", uuid(5), uuid(3), "back", uuid(5), true})},
      {"move.body", encode_array(std::vector<TagEntry>{entry()})},
      {"release.reply", encode_reply(Status(), ReleaseReply{1, 11, uuid(3), 4500})},
      {"releases.request",
       encode(ReleasesRequest{"acme", "total", uuid(3), "\x01\x02", 10, 11, 1'763'672'558'000'000})},
      {"releases.reply", encode_reply(Status(), ReleasesReply{{release}, "\x01\x02"})},
      {"versions.request",
       encode(VersionsRequest{"acme", "total", uuid(2), {"usa"}, "\x01\x02", 10, 11, 1'763'672'558'000'000})},
      {"versions.reply", encode_reply(Status(), VersionsReply{{version()}, "\x01\x02"})},
  };
  for (auto& message : space_messages(uuid(9), uuid(6), hash(2))) messages.push_back(std::move(message));
  for (auto& message : dataset_messages(uuid(9), hash(2), hash(1))) messages.push_back(std::move(message));
  for (auto& message : run_messages(uuid(9), uuid(2), hash(1), hash(2))) messages.push_back(std::move(message));
  for (auto& message : search_messages(uuid(2))) messages.push_back(std::move(message));
  for (auto& message : tag_messages(uuid)) messages.push_back(std::move(message));
  for (auto& message : moving_messages(uuid(9), uuid(6), hash(3))) messages.push_back(std::move(message));
  for (auto& message : membership_messages(uuid(9), uuid(7))) messages.push_back(std::move(message));
  for (auto& message : trace_messages(predict_request(), uuid(2))) messages.push_back(std::move(message));
  for (auto& message : process_messages()) messages.push_back(std::move(message));
  for (auto& message : log_messages()) messages.push_back(std::move(message));
  for (auto& message : key_messages(uuid(9), hash(7), hash(6))) messages.push_back(std::move(message));
  for (auto& message : audit_messages(uuid(9))) messages.push_back(std::move(message));
  for (auto& message : upkeep_messages(uuid(2))) messages.push_back(std::move(message));
  return messages;
}

}  // namespace espalier::wire::samples
