#include "wire/traffic_messages.h"

#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const TrafficRow*) {
  v("tenant", &TrafficRow::tenant);
  v("model", &TrafficRow::model);
  v("version", &TrafficRow::version);
  v("requests", &TrafficRow::requests);
  v("failed", &TrafficRow::failed);
  v("answered", &TrafficRow::answered);
  v("unexpected", &TrafficRow::unexpected);
  v("took", &TrafficRow::took);
}

template <class V>
void describe(V&& v, const TrafficRequest*) {
  v("by", &TrafficRequest::by);
}

template <class V>
void describe(V&& v, const TrafficReply*) {
  v("name", &TrafficReply::name);
  v("process", &TrafficReply::process);
  v("running_us", &TrafficReply::running_us);
  v("rows", &TrafficReply::rows);
}

ESPALIER_WIRE_MESSAGE(TrafficRequest);
ESPALIER_WIRE_REPLY(TrafficReply);

}  // namespace espalier::wire
