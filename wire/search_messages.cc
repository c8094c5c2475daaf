#include "wire/search_messages.h"

#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const SearchRequest*) {
  v("kind", &SearchRequest::kind);
  v("tenant", &SearchRequest::tenant);
  v("model", &SearchRequest::model);
  v("where", &SearchRequest::where);
  v("order", &SearchRequest::order);
  v("epoch", &SearchRequest::epoch);
  v("time_us", &SearchRequest::time_us);
  v.bytes("cursor", &SearchRequest::cursor);
  v("limit", &SearchRequest::limit);
}

template <class V>
void describe(V&& v, const SearchRow*) {
  v("tenant", &SearchRow::tenant);
  v("model", &SearchRow::model);
  v.bytes("record", &SearchRow::record);
}

template <class V>
void describe(V&& v, const SearchReply*) {
  v("generation", &SearchReply::generation);
  v("epoch", &SearchReply::epoch);
  v("rows", &SearchReply::rows);
  v.bytes("cursor", &SearchReply::cursor);
}

template <class V>
void describe(V&& v, const NodeRecord*) {
  v("partition", &NodeRecord::partition);
  v("level", &NodeRecord::level);
  v("versions", &NodeRecord::versions);
  v("version", &NodeRecord::version);
  v("created_us", &NodeRecord::created_us);
  v("epoch", &NodeRecord::epoch);
}

template <class V>
void describe(V&& v, const TenantRecord*) {
  v("tenant", &TenantRecord::tenant);
  v("models", &TenantRecord::models);
}

ESPALIER_WIRE_MESSAGE(SearchRequest);
ESPALIER_WIRE_REPLY(SearchReply);
ESPALIER_WIRE_RECORD(NodeRecord);
ESPALIER_WIRE_RECORD(TenantRecord);

}  // namespace espalier::wire
