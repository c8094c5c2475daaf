#include "wire/shard_status_messages.h"

#include "wire/health_described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const ReasonCount*) {
  v("reason", &ReasonCount::reason);
  v("count", &ReasonCount::count);
}

template <class V>
void describe(V&& v, const FallbackAlert*) {
  v("tenant", &FallbackAlert::tenant);
  v("model", &FallbackAlert::model);
  v("reason", &FallbackAlert::reason);
  v("answered", &FallbackAlert::answered);
  v("unexpected", &FallbackAlert::unexpected);
  v("since_us", &FallbackAlert::since_us);
}

template <class V>
void describe(V&& v, const ModelAnswers*) {
  v("tenant", &ModelAnswers::tenant);
  v("model", &ModelAnswers::model);
  v("reasons", &ModelAnswers::reasons);
}

template <class V>
void describe(V&&, const ShardStatusRequest*) {}

template <class V>
void describe(V&& v, const ShardStatusReply*) {
  v("name", &ShardStatusReply::name);
  v("version", &ShardStatusReply::version);
  v("generation", &ShardStatusReply::generation);
  v("epoch", &ShardStatusReply::epoch);
  v("is_starting", &ShardStatusReply::is_starting);
  v("nodes_wanted", &ShardStatusReply::nodes_wanted);
  v("nodes_ready", &ShardStatusReply::nodes_ready);
  v("not_ready", &ShardStatusReply::not_ready);
  v("memory_bytes", &ShardStatusReply::memory_bytes);
  v("memory_budget", &ShardStatusReply::memory_budget);
  v("disk_bytes", &ShardStatusReply::disk_bytes);
  v("disk_budget", &ShardStatusReply::disk_budget);
  v("evicted", &ShardStatusReply::evicted);
  v("answered", &ShardStatusReply::answered);
  v("models", &ShardStatusReply::models);
  v("damaged", &ShardStatusReply::damaged);
  v("scrubbed_bytes", &ShardStatusReply::scrubbed_bytes);
  v("undelivered", &ShardStatusReply::undelivered);
  v("alerts", &ShardStatusReply::alerts);
  v("health", &ShardStatusReply::health);
}

ESPALIER_WIRE_MESSAGE(ShardStatusRequest);
ESPALIER_WIRE_REPLY(ShardStatusReply);

}  // namespace espalier::wire
