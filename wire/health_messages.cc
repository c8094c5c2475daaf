#include "wire/health_messages.h"

#include "wire/health_described.h"

namespace espalier::wire {

template <class V>
void describe(V&&, const RouterStatusRequest*) {}

template <class V>
void describe(V&& v, const RoutedShard*) {
  v("name", &RoutedShard::name);
  v("endpoints", &RoutedShard::endpoints);
  v("answering", &RoutedShard::answering);
  v("in_flight", &RoutedShard::in_flight);
}

template <class V>
void describe(V&& v, const RouterStatusReply*) {
  v("name", &RouterStatusReply::name);
  v("version", &RouterStatusReply::version);
  v("generation", &RouterStatusReply::generation);
  v("epoch", &RouterStatusReply::epoch);
  v("view", &RouterStatusReply::view);
  v("requests", &RouterStatusReply::requests);
  v("failed", &RouterStatusReply::failed);
  v("answered", &RouterStatusReply::answered);
  v("unexpected", &RouterStatusReply::unexpected);
  v("in_flight", &RouterStatusReply::in_flight);
  v("shards", &RouterStatusReply::shards);
  v("health", &RouterStatusReply::health);
}

ESPALIER_WIRE_MESSAGE(RouterStatusRequest);
ESPALIER_WIRE_REPLY(RouterStatusReply);

}  // namespace espalier::wire
