#include "wire/status_messages.h"

#include "wire/health_described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const Durations*) {
  v("count", &Durations::count);
  v("p50_us", &Durations::p50_us);
  v("p90_us", &Durations::p90_us);
  v("p99_us", &Durations::p99_us);
  v("max_us", &Durations::max_us);
}

template <class V>
void describe(V&& v, const LostShard*) {
  v("name", &LostShard::name);
  v("endpoints", &LostShard::endpoints);
  v("lost_us", &LostShard::lost_us);
}

template <class V>
void describe(V&&, const StatusRequest*) {}

template <class V>
void describe(V&& v, const StatusReply*) {
  v("generation", &StatusReply::generation);
  v("epoch", &StatusReply::epoch);
  v("version", &StatusReply::version);
  v("served", &StatusReply::served);
  v("being_served", &StatusReply::being_served);
  v("not_timed", &StatusReply::not_timed);
  v("jobs", &StatusReply::jobs);
  v("lost", &StatusReply::lost);
  v("health", &StatusReply::health);
}

ESPALIER_WIRE_MESSAGE(StatusRequest);
ESPALIER_WIRE_REPLY(StatusReply);

}  // namespace espalier::wire
