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

ESPALIER_WIRE_MESSAGE(CheckRequest);
ESPALIER_WIRE_REPLY(CheckReply);

}  // namespace espalier::wire
