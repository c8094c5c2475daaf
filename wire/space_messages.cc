#include "wire/space_messages.h"

#include "wire/described.h"

namespace espalier::wire {

constexpr std::uint64_t most(ReceiptKind) { return static_cast<std::uint64_t>(ReceiptKind::import); }

template <class V>
void describe(V&& v, const RetentionRule*) {
  v("keep_all", &RetentionRule::keep_all);
  v("keep_last", &RetentionRule::keep_last);
  v("keep_tagged", &RetentionRule::keep_tagged);
  v("tagged", &RetentionRule::tagged);
  v("keep_days", &RetentionRule::keep_days);
  v("principal", &RetentionRule::principal);
  v("time_us", &RetentionRule::time_us);
  v("epoch", &RetentionRule::epoch);
}

template <class V>
void describe(V&& v, const RetentionRequest*) {
  v("tenant", &RetentionRequest::tenant);
  v("model", &RetentionRequest::model);
}

template <class V>
void describe(V&& v, const SetRetentionRequest*) {
  v("idem", &SetRetentionRequest::idem);
  v("tenant", &SetRetentionRequest::tenant);
  v("model", &SetRetentionRequest::model);
  v("rule", &SetRetentionRequest::rule);
}

template <class V>
void describe(V&& v, const RetentionReply*) {
  v("rules", &RetentionReply::rules);
}

template <class V>
void describe(V&& v, const CollectRequest*) {
  v("idem", &CollectRequest::idem);
  v("tenant", &CollectRequest::tenant);
  v("model", &CollectRequest::model);
  v("receipt", &CollectRequest::receipt);
  v("dry_run", &CollectRequest::dry_run);
}

template <class V>
void describe(V&& v, const EraseRequest*) {
  v("idem", &EraseRequest::idem);
  v("tenant", &EraseRequest::tenant);
  v("receipt", &EraseRequest::receipt);
  v("dry_run", &EraseRequest::dry_run);
}

template <class V>
void describe(V&& v, const StartedReply*) {
  v("generation", &StartedReply::generation);
  v("epoch", &StartedReply::epoch);
  v("receipt", &StartedReply::receipt);
}

template <class V>
void describe(V&& v, const Receipt*) {
  v("receipt", &Receipt::receipt);
  v("kind", &Receipt::kind);
  v("tenant", &Receipt::tenant);
  v("model", &Receipt::model);
  v("dry_run", &Receipt::dry_run);
  v("principal", &Receipt::principal);
  v("started_us", &Receipt::started_us);
  v("finished_us", &Receipt::finished_us);
  v("epoch", &Receipt::epoch);
  v("versions", &Receipt::versions);
  v("artefacts", &Receipt::artefacts);
  v("artefact_bytes", &Receipt::artefact_bytes);
  v("records", &Receipt::records);
  v("disk_before", &Receipt::disk_before);
  v("disk_after", &Receipt::disk_after);
  v("chunks", &Receipt::chunks);
  v("items", &Receipt::items);
  v("waits_for", &Receipt::waits_for);
}

template <class V>
void describe(V&& v, const ReceiptRequest*) {
  v("tenant", &ReceiptRequest::tenant);
  v("receipt", &ReceiptRequest::receipt);
  v("wait_us", &ReceiptRequest::wait_us);
}

template <class V>
void describe(V&& v, const ReceiptReply*) {
  v("receipt", &ReceiptReply::receipt);
  v("missing", &ReceiptReply::missing);
}

template <class V>
void describe(V&& v, const ReceiptItem*) {
  v("is_artefact", &ReceiptItem::is_artefact);
  v("model", &ReceiptItem::model);
  v("partition", &ReceiptItem::partition);
  v("version", &ReceiptItem::version);
  v("artefact", &ReceiptItem::artefact);
  v("bytes", &ReceiptItem::bytes);
}

template <class V>
void describe(V&& v, const ReceiptItemsRequest*) {
  v("tenant", &ReceiptItemsRequest::tenant);
  v("receipt", &ReceiptItemsRequest::receipt);
  v.bytes("cursor", &ReceiptItemsRequest::cursor);
}

template <class V>
void describe(V&& v, const ReceiptItemsReply*) {
  v("items", &ReceiptItemsReply::items);
  v.bytes("cursor", &ReceiptItemsReply::cursor);
}

template <class V>
void describe(V&& v, const VerifyErasureRequest*) {
  v("tenant", &VerifyErasureRequest::tenant);
  v("receipt", &VerifyErasureRequest::receipt);
  v.bytes("cursor", &VerifyErasureRequest::cursor);
}

template <class V>
void describe(V&& v, const VerifyErasureReply*) {
  v("left", &VerifyErasureReply::left);
  v("looked_at", &VerifyErasureReply::looked_at);
  v.bytes("cursor", &VerifyErasureReply::cursor);
}

ESPALIER_WIRE_MESSAGE(RetentionRequest);
ESPALIER_WIRE_MESSAGE(SetRetentionRequest);
ESPALIER_WIRE_MESSAGE(CollectRequest);
ESPALIER_WIRE_MESSAGE(EraseRequest);
ESPALIER_WIRE_MESSAGE(ReceiptRequest);
ESPALIER_WIRE_MESSAGE(ReceiptItemsRequest);
ESPALIER_WIRE_MESSAGE(VerifyErasureRequest);
ESPALIER_WIRE_REPLY(RetentionReply);
ESPALIER_WIRE_REPLY(StartedReply);
ESPALIER_WIRE_REPLY(ReceiptReply);
ESPALIER_WIRE_REPLY(ReceiptItemsReply);
ESPALIER_WIRE_REPLY(VerifyErasureReply);
ESPALIER_WIRE_RECORD(RetentionRule);
ESPALIER_WIRE_RECORD(Receipt);
ESPALIER_WIRE_RECORD(ReceiptItem);

}  // namespace espalier::wire
