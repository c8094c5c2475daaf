#include "wire/membership_messages.h"

#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const BusyNode*) {
  v("tenant", &BusyNode::tenant);
  v("model", &BusyNode::model);
  v("partition", &BusyNode::partition);
  v("requests_per_second", &BusyNode::requests_per_second);
}

template <class V>
void describe(V&& v, const RenewRequest*) {
  v("shard", &RenewRequest::shard);
  v("process", &RenewRequest::process);
  v("is_ready", &RenewRequest::is_ready);
  v("nodes_ready", &RenewRequest::nodes_ready);
  v("nodes_wanted", &RenewRequest::nodes_wanted);
  v("requests_per_second", &RenewRequest::requests_per_second);
  v("busiest", &RenewRequest::busiest);
}

template <class V>
void describe(V&& v, const RenewReply*) {
  v("generation", &RenewReply::generation);
  v("epoch", &RenewReply::epoch);
  v("lease_us", &RenewReply::lease_us);
  v("state", &RenewReply::state);
}

template <class V>
void describe(V&& v, const DrainRequest*) {
  v("idem", &DrainRequest::idem);
  v("shard", &DrainRequest::shard);
}

template <class V>
void describe(V&& v, const SetTenantRequest*) {
  v("idem", &SetTenantRequest::idem);
  v("tenant", &SetTenantRequest::tenant);
  v("spread", &SetTenantRequest::spread);
  v("replicas", &SetTenantRequest::replicas);
  v("requests_per_second", &SetTenantRequest::requests_per_second);
  v("requests_in_flight", &SetTenantRequest::requests_in_flight);
}

ESPALIER_WIRE_MESSAGE(RenewRequest);
ESPALIER_WIRE_REPLY(RenewReply);
ESPALIER_WIRE_MESSAGE(DrainRequest);
ESPALIER_WIRE_MESSAGE(SetTenantRequest);

}  // namespace espalier::wire
