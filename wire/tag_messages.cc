#include "wire/tag_messages.h"

#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const RollbackTo*) {
  v("release", &RollbackTo::release);
  v("epoch", &RollbackTo::epoch);
  v("time_us", &RollbackTo::time_us);
  v("where", &RollbackTo::where);
}

template <class V>
void describe(V&& v, const RollbackRequest*) {
  v("idem", &RollbackRequest::idem);
  v("tenant", &RollbackRequest::tenant);
  v("model", &RollbackRequest::model);
  v("tag", &RollbackRequest::tag);
  v("release", &RollbackRequest::release);
  v("to", &RollbackRequest::to);
  v("under", &RollbackRequest::under);
  v("note", &RollbackRequest::note);
  v("expected_release", &RollbackRequest::expected_release);
}

template <class V>
void describe(V&& v, const RollbackPreviewRequest*) {
  v("tenant", &RollbackPreviewRequest::tenant);
  v("model", &RollbackPreviewRequest::model);
  v("tag", &RollbackPreviewRequest::tag);
  v("to", &RollbackPreviewRequest::to);
  v("under", &RollbackPreviewRequest::under);
  v.bytes("cursor", &RollbackPreviewRequest::cursor);
  v("limit", &RollbackPreviewRequest::limit);
}

template <class V>
void describe(V&& v, const ReleaseDiffRequest*) {
  v("tenant", &ReleaseDiffRequest::tenant);
  v("model", &ReleaseDiffRequest::model);
  v("from", &ReleaseDiffRequest::from);
  v("to", &ReleaseDiffRequest::to);
  v("under", &ReleaseDiffRequest::under);
  v.bytes("cursor", &ReleaseDiffRequest::cursor);
  v("limit", &ReleaseDiffRequest::limit);
}

template <class V>
void describe(V&& v, const NodeState*) {
  v("kind", &NodeState::kind);
  v("version", &NodeState::version);
  v("release", &NodeState::release);
  v("rows", &NodeState::rows);
  v("metrics_json", &NodeState::metrics_json);
}

template <class V>
void describe(V&& v, const NodeDifference*) {
  v("partition", &NodeDifference::partition);
  v("before", &NodeDifference::before);
  v("after", &NodeDifference::after);
  v("delta_json", &NodeDifference::delta_json);
}

template <class V>
void describe(V&& v, const DifferencesReply*) {
  v("generation", &DifferencesReply::generation);
  v("epoch", &DifferencesReply::epoch);
  v("nodes", &DifferencesReply::nodes);
  v.bytes("cursor", &DifferencesReply::cursor);
}

template <class V>
void describe(V&& v, const TagHistoryRequest*) {
  v("tenant", &TagHistoryRequest::tenant);
  v("model", &TagHistoryRequest::model);
  v("tag", &TagHistoryRequest::tag);
  v("under", &TagHistoryRequest::under);
  v("node_only", &TagHistoryRequest::node_only);
  v("epoch", &TagHistoryRequest::epoch);
  v("time_us", &TagHistoryRequest::time_us);
  v.bytes("cursor", &TagHistoryRequest::cursor);
  v("limit", &TagHistoryRequest::limit);
}

template <class V>
void describe(V&& v, const TagMovement*) {
  v("partition", &TagMovement::partition);
  v("kind", &TagMovement::kind);
  v("version", &TagMovement::version);
  v("release", &TagMovement::release);
  v("epoch", &TagMovement::epoch);
  v("time_us", &TagMovement::time_us);
  v("principal", &TagMovement::principal);
  v("note", &TagMovement::note);
}

template <class V>
void describe(V&& v, const TagHistoryReply*) {
  v("generation", &TagHistoryReply::generation);
  v("epoch", &TagHistoryReply::epoch);
  v("movements", &TagHistoryReply::movements);
  v.bytes("cursor", &TagHistoryReply::cursor);
}

template <class V>
void describe(V&& v, const OverlayRequest*) {
  v("idem", &OverlayRequest::idem);
  v("tenant", &OverlayRequest::tenant);
  v("model", &OverlayRequest::model);
  v("tag", &OverlayRequest::tag);
  v("on", &OverlayRequest::on);
}

template <class V>
void describe(V&& v, const PromoteRequest*) {
  v("idem", &PromoteRequest::idem);
  v("tenant", &PromoteRequest::tenant);
  v("model", &PromoteRequest::model);
  v("from", &PromoteRequest::from);
  v("to", &PromoteRequest::to);
  v("archive", &PromoteRequest::archive);
  v("release", &PromoteRequest::release);
  v("from_release", &PromoteRequest::from_release);
  v("archive_release", &PromoteRequest::archive_release);
  v("under", &PromoteRequest::under);
  v("keep", &PromoteRequest::keep);
  v("replace", &PromoteRequest::replace);
  v("note", &PromoteRequest::note);
  v("expected_release", &PromoteRequest::expected_release);
}

ESPALIER_WIRE_MESSAGE(RollbackRequest);
ESPALIER_WIRE_MESSAGE(RollbackPreviewRequest);
ESPALIER_WIRE_MESSAGE(ReleaseDiffRequest);
ESPALIER_WIRE_REPLY(DifferencesReply);
ESPALIER_WIRE_MESSAGE(TagHistoryRequest);
ESPALIER_WIRE_REPLY(TagHistoryReply);
ESPALIER_WIRE_MESSAGE(OverlayRequest);
ESPALIER_WIRE_MESSAGE(PromoteRequest);

}  // namespace espalier::wire
