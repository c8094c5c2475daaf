// One prediction request answered from one table (docs/life-of-a-prediction.md, steps 4 to 8).
//
// Thread safety: a Predictor belongs to one worker, which reuses its memory from request to request; after the largest
// request seen it allocates nothing. Ownership: borrows nothing beyond answer().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/principal.h"
#include "common/queue_clock.h"
#include "shard/answer_counts.h"
#include "shard/damage.h"
#include "shard/fallback.h"
#include "shard/model_table.h"
#include "shard/version_traffic.h"
#include "wire/predict_codec.h"
#include "wire/row_codec.h"

namespace espalier::shard {

/// A reply's frames after the request id. Keeps its memory.
struct Reply {
  std::string header;
  std::vector<std::string> bodies;  ///< the first `body_count` are the reply's
  std::size_t body_count = 0;

  void set_error(const Status& status, std::int64_t retry_after_us = 0);
};

/// When the bytes that answer are checked besides admission and scrub (docs/damage.md).
enum class Verify { admission, always };

/// When a request was taken up, and whose connection it came over; without a peer
/// nobody knows how long it waited.
struct Arrival {
  // NOLINTNEXTLINE: implicit by design
  Arrival(std::int64_t now_us, std::string_view peer = {}) : now_us(now_us), peer(peer) {}
  std::int64_t now_us;  ///< monotonic
  std::string_view peer;
};

class Predictor {
 public:
  /// Reports to `damage` what it finds.
  Predictor(std::string shard, const Clock& clock, Damage& damage, Verify verify = Verify::admission);

  /// Fills `reply`: with each part's own status and provenance, or, where the request as a whole can't be answered,
  /// with
  ///   invalid_argument     the header is not a request, or the number of bodies is not that of its parts
  ///   permission_denied    `principal` is no router: limits and shares of tenants are kept there (docs/keys.md)
  ///   not_found            no such model, tag or release
  ///   unavailable          the request is for another shard, this one is starting, the tenant's shards are others, or
  ///                        `min_epoch` has not come here yet: another shard may answer
  ///   deadline_exceeded    the budget was over already when the request was taken up, its wait included
  ///                        (QueueClock), or is since
  ///
  /// A part's own status: invalid_argument (its partition or rows), not_found (a version that is not on its path),
  /// no_model, resource_exhausted (its predictions are too large for a message), deadline_exceeded.
  void answer(const Principal& principal, const ModelTable& table, std::string_view header,
              std::span<const std::string_view> bodies, const Arrival& arrival, Reply& reply);

  /// What was answered since the start.
  const AnswerCounts& counts() const { return counts_; }
  /// Where the last request asks for a trace, or a router is to know why it took long, its reply says the times, too.
  void tell_times(std::int64_t took_us, Reply& reply) {
    if (waited_us_ >= 0 && (request_.trace || waited_us_ + took_us >= kTellsFromUs)) append_times(took_us, reply);
  }
  const VersionTraffic& versions() const { return versions_; }
  /// The last answer() ended at `now_us`, so long after its request was taken up. REQUIRES: its table is leased still.
  void took(std::int64_t us, std::int64_t now_us) {
    counts_.took.record(us);
    counted_->took.record(us);
    seen_.took_us = us;
    versions_.note(seen_, now_us);
  }
  /// A message was refused that is not even a request.
  void refused(Code code) { counts_.requests[static_cast<std::size_t>(code)].add(); }

  /// No request was waiting.
  void was_idle() { queue_.was_empty(); }

  /// The last request; null: it could not be read, was for another shard, or who asked may not. Its bytes are that
  /// message's.
  const wire::PredictHeader* last_request() const { return is_accepted_ ? &request_ : nullptr; }

 private:
  /// What took so long is worth a word to the router, whose log of slow requests it may come to (docs/logs.md).
  static constexpr std::int64_t kTellsFromUs = 20'000;

  Status try_answer(const Principal& principal, const ModelTable& table, std::string_view header,
                    std::span<const std::string_view> bodies, const Arrival& arrival, Reply& reply);
  Status begin_budget(const Arrival& arrival);
  void append_times(std::int64_t took_us, Reply& reply);
  Status answer_part(const ModelTable& table, const Model& model, const Tag* tag, const Ref& ref, std::size_t place,
                     std::string_view body, Reply& reply);
  Status score(const Servable& servable, const wire::FieldIndex& inputs, std::string_view body, std::uint32_t rows,
               std::string& to);
  bool is_late() const { return clock_.monotonic_us() > deadline_us_; }

  const std::string shard_;
  const Clock& clock_;
  Damage& damage_;
  const Verify verify_;
  QueueClock queue_;
  std::int64_t deadline_us_ = 0;
  std::int64_t now_us_ = 0;            ///< when the request was taken up
  std::int64_t waited_us_ = -1;        ///< before that; -1: it may not be asked here
  std::vector<wire::PartWalk> walks_;  ///< of a traced request
  std::size_t reply_bytes_ = 0;
  std::uint64_t epoch_ = 0;
  std::uint64_t model_hash_ = 0;
  AnswerCounts counts_;
  ModelCounts* counted_ = &counts_.rest();  ///< the last request's
  VersionTraffic versions_;
  VersionTraffic::Seen seen_;  ///< the last request
  bool is_unready_ = false;    ///< a part has no answer here for a cause that is this shard's own
  // Reused.
  wire::PredictHeader request_;
  bool is_accepted_ = false;
  Path path_;
  wire::BodyReader reader_;
  wire::AnswerWriter writer_;
  std::string model_key_;
  std::vector<model::Value> inputs_;
  model::Artefact::Scratch scratch_;
  model::Output output_;
};

}  // namespace espalier::shard
