// Whatever bytes arrive as a header: they are refused or read, never more. What is read is written
// again in a form that reads the same, and the two readers of a prediction's header agree.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fuzz_driver.h"
#include "tests/unit/wire/sample_messages.h"
#include "wire/messages.h"
#include "wire/predict_codec.h"

namespace {

using namespace espalier;
using namespace espalier::wire;

/// Many small elements may be too much for the general reader, which allocates each.
bool refused_for_memory(const Status& status) {
  return status.message().find("than a message of this size may have") != std::string::npos;
}

template <class T>
bool check(std::string_view input) {
  const Result<T> first = decode<T>(input);
  if (!first.ok()) {
    if (first.status().code() != Code::invalid_argument || first.status().message().empty()) std::abort();
    return false;
  }
  const std::string written = encode(*first);
  const Result<T> second = decode<T>(written);
  if (!second.ok() && refused_for_memory(second.status())) return true;
  if (!second.ok() || encode(*second) != written) std::abort();
  return true;
}

/// Whether one of them took it.
template <class... T>
bool check_all(std::string_view input) {
  bool is_taken = false;
  ((is_taken = check<T>(input) || is_taken), ...);
  return is_taken;
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

bool target(std::string_view input) {
  check_predict(input);
  check_reply(input);
  return check_all<PredictRequest, PredictReply, HelloRequest, HelloReply, JoinRequest, LeaveRequest, EpochReply,
                   ViewRequest, ViewReply, FeedRequest, FeedReply, AckRequest, AckReply, WaitRequest, WaitReply,
                   ChangedEntriesRequest, TagEntriesRequest, EntriesReply, ModelRecord, ModelsRequest, ModelsReply,
                   FetchRequest, FetchReply, UploadRequest, UploadReply, VersionRecord, PublishRequest, MoveRequest,
                   ReleaseReply, ReleaseRecord, ReleasesRequest, ReleasesReply, VersionsRequest, VersionsReply>(input);
}

/// One message of each kind, as the protocol's document shows them, and some that are larger.
std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const auto& [name, bytes] : samples::all()) all.push_back(bytes);
  ViewReply view;
  view.view.shards = {{"s0", {"ipc://a", "tcp://b:1#" + std::string(64, 'a')}, 1}};
  view.view.tenants["acme"] = {2, 1};
  ModelsReply models;
  models.models.resize(3);
  models.models[0].fields = {{"age", model::FieldType::number}, {"sex", model::FieldType::text}};
  FeedReply feed;
  feed.changes.resize(4);
  EntriesReply entries;
  entries.entries.resize(2);
  entries.cursor = "more";
  WaitReply wait;
  wait.failed.resize(2);
  const std::vector<std::string> larger = {encode(view),
                                           encode(models),
                                           encode(feed),
                                           encode(entries),
                                           encode(wait),
                                           encode(FetchRequest{"acme", {Hash256(), Hash256()}, 5}),
                                           encode_array(std::vector<VersionRecord>(2)),
                                           encode_array(std::vector<TagEntry>(2)),
                                           encode_error(Status(Code::overloaded, "later"), 5)};
  all.insert(all.end(), larger.begin(), larger.end());
  return all;
}

}  // namespace

int main() { return espalier::testing::run_fuzzer(seeds(), target); }
