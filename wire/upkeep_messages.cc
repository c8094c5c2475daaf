#include "wire/upkeep_messages.h"

#include "wire/described.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const CheckRequest*) {
  v("session", &CheckRequest::session);
  v("step", &CheckRequest::step);
}

template <class V>
void describe(V&& v, const FindingRecord*) {
  v("table", &FindingRecord::table);
  v("key", &FindingRecord::key);
  v("what", &FindingRecord::what);
}

template <class V>
void describe(V&& v, const CheckReply*) {
  v("generation", &CheckReply::generation);
  v("epoch", &CheckReply::epoch);
  v("records", &CheckReply::records);
  v("artefacts", &CheckReply::artefacts);
  v("passed_over", &CheckReply::passed_over);
  v("found", &CheckReply::found);
  v("findings", &CheckReply::findings);
  v("done", &CheckReply::done);
}

template <class V>
void describe(V&& v, const ArchiveRequest*) {
  v("session", &ArchiveRequest::session);
  v("step", &ArchiveRequest::step);
  v("tenant", &ArchiveRequest::tenant);
  v("model", &ArchiveRequest::model);
  v("epoch", &ArchiveRequest::epoch);
  v("records_only", &ArchiveRequest::records_only);
}

template <class V>
void describe(V&& v, const ArchiveReply*) {
  v("generation", &ArchiveReply::generation);
  v("epoch", &ArchiveReply::epoch);
  v("time_us", &ArchiveReply::time_us);
  v("schema", &ArchiveReply::schema);
  v("blocks", &ArchiveReply::blocks);
  v("records", &ArchiveReply::records);
  v("artefacts", &ArchiveReply::artefacts);
  v("artefact_bytes", &ArchiveReply::artefact_bytes);
  v("done", &ArchiveReply::done);
}

ESPALIER_WIRE_MESSAGE(CheckRequest);
ESPALIER_WIRE_REPLY(CheckReply);
ESPALIER_WIRE_MESSAGE(ArchiveRequest);
ESPALIER_WIRE_REPLY(ArchiveReply);

}  // namespace espalier::wire
