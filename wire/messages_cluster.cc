// Messages of membership, the change feed and acknowledgements.
#include "wire/described.h"

namespace espalier::cluster {

template <class V>
void describe(V&& v, const ShardInfo*) {
  v("name", &ShardInfo::name);
  v("endpoints", &ShardInfo::endpoints);
  v("weight", &ShardInfo::weight);
  v("zone", &ShardInfo::zone);
  v("state", &ShardInfo::state);
}

template <class V>
void describe(V&& v, const TenantSettings*) {
  v("spread", &TenantSettings::spread);
  v("replicas", &TenantSettings::replicas);
  v("requests_per_second", &TenantSettings::requests_per_second);
  v("requests_in_flight", &TenantSettings::requests_in_flight);
}

template <class V>
void describe(V&& v, const HotNode*) {
  v("tenant", &HotNode::tenant);
  v("model", &HotNode::model);
  v("partition", &HotNode::partition);
  v("replicas", &HotNode::replicas);
}

template <class V>
void describe(V&& v, const View*) {
  v("number", &View::number);
  v("shards", &View::shards);
  v("default_spread", &View::default_spread);
  v("default_replicas", &View::default_replicas);
  v("tenants", &View::tenants);
  v("hot_nodes", &View::hot_nodes);
}

}  // namespace espalier::cluster

namespace espalier::wire {

template <class V>
void describe(V&& v, const HelloRequest*) {
  v("role", &HelloRequest::role);
}

template <class V>
void describe(V&& v, const HelloReply*) {
  v("generation", &HelloReply::generation);
  v("epoch", &HelloReply::epoch);
  v("version", &HelloReply::version);
  v("role", &HelloReply::role);
}

template <class V>
void describe(V&& v, const JoinRequest*) {
  v("idem", &JoinRequest::idem);
  v("shard", &JoinRequest::shard);
  v("process", &JoinRequest::process);
}

template <class V>
void describe(V&& v, const LeaveRequest*) {
  v("idem", &LeaveRequest::idem);
  v("shard", &LeaveRequest::shard);
}

template <class V>
void describe(V&& v, const EpochReply*) {
  v("generation", &EpochReply::generation);
  v("epoch", &EpochReply::epoch);
}

template <class V>
void describe(V&&, const ViewRequest*) {}

template <class V>
void describe(V&& v, const ViewReply*) {
  v("generation", &ViewReply::generation);
  v("epoch", &ViewReply::epoch);
  v("view", &ViewReply::view);
}

template <class V>
void describe(V&& v, const TagMoved*) {
  v("tag", &TagMoved::tag);
  v("release", &TagMoved::release);
  v("count", &TagMoved::count);
}

template <class V>
void describe(V&& v, const Change*) {
  v("epoch", &Change::epoch);
  v("previous", &Change::previous);
  v("time_us", &Change::time_us);
  v("kind", &Change::kind);
  v("tenant", &Change::tenant);
  v("model", &Change::model);
  v("tag", &Change::tag);
  v("release", &Change::release);
  v("count", &Change::count);
  v("levels", &Change::levels);
  v("more", &Change::more);
}

template <class V>
void describe(V&& v, const FeedRequest*) {
  v("generation", &FeedRequest::generation);
  v("after", &FeedRequest::after);
  v("credit", &FeedRequest::credit);
  v("wait_us", &FeedRequest::wait_us);
}

template <class V>
void describe(V&& v, const FeedReply*) {
  v("generation", &FeedReply::generation);
  v("newest", &FeedReply::newest);
  v("snapshot_required", &FeedReply::snapshot_required);
  v("changes", &FeedReply::changes);
}

template <class V>
void describe(V&& v, const AckFailure*) {
  v("tenant", &AckFailure::tenant);
  v("model", &AckFailure::model);
  v("partition", &AckFailure::partition);
  v("version", &AckFailure::version);
  v("why", &AckFailure::why);
}

template <class V>
void describe(V&& v, const AckRequest*) {
  v("shard", &AckRequest::shard);
  v("generation", &AckRequest::generation);
  v("epoch", &AckRequest::epoch);
  v("failed", &AckRequest::failed);
  v("process", &AckRequest::process);
  v("held", &AckRequest::held);
  v("unsaved", &AckRequest::unsaved);
}

template <class V>
void describe(V&&, const AckReply*) {}

template <class V>
void describe(V&& v, const WaitRequest*) {
  v("epoch", &WaitRequest::epoch);
  v("wait_us", &WaitRequest::wait_us);
}

template <class V>
void describe(V&& v, const WaitReply*) {
  v("served", &WaitReply::served);
  v("missing", &WaitReply::missing);
  v("failed", &WaitReply::failed);
}

ESPALIER_WIRE_MESSAGE(HelloRequest);
ESPALIER_WIRE_REPLY(HelloReply);
ESPALIER_WIRE_MESSAGE(JoinRequest);
ESPALIER_WIRE_MESSAGE(LeaveRequest);
ESPALIER_WIRE_REPLY(EpochReply);
ESPALIER_WIRE_MESSAGE(ViewRequest);
ESPALIER_WIRE_REPLY(ViewReply);
ESPALIER_WIRE_RECORD(Change);
ESPALIER_WIRE_MESSAGE(FeedRequest);
ESPALIER_WIRE_REPLY(FeedReply);
ESPALIER_WIRE_RECORD(AckFailure);
ESPALIER_WIRE_MESSAGE(AckRequest);
ESPALIER_WIRE_REPLY(AckReply);
ESPALIER_WIRE_MESSAGE(WaitRequest);
ESPALIER_WIRE_REPLY(WaitReply);

// The view is kept as a record of its own.
template std::string encode<cluster::View>(const cluster::View& view);
template Result<cluster::View> decode<cluster::View>(std::string_view header);

}  // namespace espalier::wire
