// Whatever bytes arrive as a header, records or a body: they are refused or read, never more. What is read is written
// again in a form that reads the same, and the two readers of a prediction's header agree.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fuzz_driver.h"
#include "wire/messages.h"
#include "wire/predict_codec.h"
#include "wire/row_codec.h"
#include "wire/search_messages.h"
#include "wire/status_messages.h"
#include "wire/tag_messages.h"
#include "wire/upkeep_messages.h"

namespace {

using namespace espalier;
using namespace espalier::wire;

/// Many small elements may be too much for the general reader, which allocates each.
bool refused_for_memory(const Status& status) {
  return status.message().find("than a message of this size may have") != std::string::npos;
}

template <class T>
void check(std::string_view input) {
  const Result<T> first = decode<T>(input);
  if (!first.ok()) {
    if (first.status().code() != Code::invalid_argument || first.status().message().empty()) std::abort();
    return;
  }
  const std::string written = encode(*first);
  const Result<T> second = decode<T>(written);
  if (!second.ok() && refused_for_memory(second.status())) return;
  if (!second.ok() || encode(*second) != written) std::abort();
}

template <class... T>
void check_all(std::string_view input) {
  (check<T>(input), ...);
}

void check_predict(std::string_view input) {
  static PredictHeader header;
  static std::string written;
  const Status fast = decode_predict(input, header);
  const Result<PredictRequest> plain = decode<PredictRequest>(input);
  if (!fast.ok() || (!plain.ok() && refused_for_memory(plain.status()))) return;
  // The fast one only refuses more.
  if (!plain.ok() || plain->parts.size() != header.parts.size() || plain->tenant != header.tenant) std::abort();
  encode_predict(header, written);
  PredictHeader again;
  if (!decode_predict(written, again).ok() || again.parts.size() != header.parts.size()) std::abort();
}

void check_reply(std::string_view input) {
  static std::vector<std::string_view> parts;
  if (split_reply(input, parts).ok()) {
    std::string header;
    assemble_reply(parts, header);
    const std::size_t count = parts.size();
    if (!split_reply(header, parts).ok() || parts.size() != count) std::abort();
    for (const std::string_view part : parts) peek_part_status(part);
  }
  (void)peek_op(input);
  (void)decode_reply<FeedReply>(input);
  (void)decode_array<VersionRecord>(input);
  (void)decode_array<TagEntry>(input);
}

void check_body(std::string_view input) {
  static const FieldIndex fields({{"sex", model::FieldType::text}, {"age", model::FieldType::number}});
  static BodyReader reader;
  for (std::uint32_t rows = 1; rows <= 2; ++rows) {
    (void)decode_prediction(input, rows);
    if (!reader.open(input, rows, fields).ok()) continue;
    std::span<const model::Value> row;
    std::size_t text_bytes = 0;
    bool good = true;
    for (std::uint32_t i = 0; i < rows && good; ++i) {
      good = reader.next(row).ok();
      if (good && row.size() != fields.size()) std::abort();
      if (good && row[0].kind == model::Value::Kind::text) text_bytes += row[0].text.size();
      if (good && row[0].kind == model::Value::Kind::number) std::abort();
    }
    if (good) (void)reader.finish();
    if (text_bytes > input.size()) std::abort();
  }
}

void target(std::string_view input) {
  check_predict(input);
  check_reply(input);
  check_body(input);
  check_all<PredictRequest, PredictReply, HelloRequest, JoinRequest, LeaveRequest, ViewReply, FeedRequest, FeedReply,
            ChangedEntriesRequest, TagEntriesRequest, EntriesReply, ModelsRequest, ModelsReply, AckRequest, WaitRequest,
            WaitReply, FetchRequest, FetchReply, UploadRequest, UploadReply, PublishRequest, MoveRequest, ReleaseReply,
            ReleasesRequest, ReleasesReply, VersionsRequest, VersionsReply, SearchRequest, SearchReply, RollbackRequest,
            RollbackPreviewRequest, ReleaseDiffRequest, DifferencesReply, TagHistoryRequest, TagHistoryReply,
            OverlayRequest, PromoteRequest, CheckRequest, CheckReply, ArchiveRequest, ArchiveReply, StatusRequest,
            StatusReply>(input);
}

std::vector<std::string> seeds() {
  PredictRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.refs = {"tag:next"};
  request.parts = {{{"usa", "ca"}, "u1", 2}, {{}, "", 1}};
  PredictReply reply;
  reply.parts.resize(2);
  reply.parts[0].provenance.asked = {"usa", "ca"};
  reply.parts[1].status = Code::no_model;
  reply.parts[1].message = "none";
  ViewReply view;
  view.view.shards = {{"s0", {"ipc://a"}, 1}};
  view.view.tenants["acme"] = {2, 1};
  ModelsReply models;
  models.models.resize(1);
  models.models[0].fields = {{"age", model::FieldType::number}};
  FeedReply feed;
  feed.changes.resize(2);
  EntriesReply entries;
  entries.entries.resize(1);
  entries.cursor = "more";
  WaitReply wait;
  wait.failed.resize(1);
  PublishRequest publish;
  publish.tenant = "acme";
  publish.fields = {{"age", model::FieldType::number}};
  const std::vector<NamedRow> rows = {{{"sex", model::Value::of("M")}, {"age", model::Value::of(30.5)}}, {}};
  const std::vector<model::Value> values = {model::Value::of("M"), model::Value::of(1.5), model::Value(),
                                            model::Value()};
  AnswerWriter answers;
  const std::string_view classes[] = {"no", "yes"};
  answers.begin(model::Task::binary, classes, true);
  answers.add({0.75, 1, {0.25, 0.75}});
  std::string answer;
  answers.finish(answer);
  return {encode(request),
          encode(reply),
          encode(view),
          encode(models),
          encode(feed),
          encode(entries),
          encode(wait),
          encode(publish),
          encode(FetchRequest{"acme", {Hash256(), Hash256()}, 5}),
          encode_array(std::vector<VersionRecord>(2)),
          encode_array(std::vector<TagEntry>(2)),
          encode_error(Status(Code::overloaded, "later"), 5),
          encode_rows(rows),
          encode_vectors(2, values),
          answer};
}

}  // namespace

int main() { return espalier::testing::run_fuzzer(seeds(), target); }
