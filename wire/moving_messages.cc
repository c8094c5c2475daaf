#include "wire/moving_messages.h"

#include "wire/described.h"

namespace espalier::wire {

constexpr std::uint64_t most(ImportStep) { return static_cast<std::uint64_t>(ImportStep::datasets); }
constexpr std::uint64_t most(ImportState) { return static_cast<std::uint64_t>(ImportState::there); }

template <class V>
void describe(V&& v, const ImportRequest*) {
  v("idem", &ImportRequest::idem);
  v("tenant", &ImportRequest::tenant);
  v("model", &ImportRequest::model);
  v("history", &ImportRequest::history);
  v("step", &ImportRequest::step);
  v("from", &ImportRequest::from);
  v("times", &ImportRequest::times);
}

template <class V>
void describe(V&& v, const ImportReply*) {
  v("generation", &ImportReply::generation);
  v("epoch", &ImportReply::epoch);
  v("state", &ImportReply::state);
  v("commits", &ImportReply::commits);
  v("records", &ImportReply::records);
  v("versions", &ImportReply::versions);
  v("without_artefact", &ImportReply::without_artefact);
  v("receipt", &ImportReply::receipt);
  v("conflict", &ImportReply::conflict);
}

template <class V>
void describe(V&& v, const ClaimedEpochs*) {
  v("commits", &ClaimedEpochs::commits);
  v("epoch", &ClaimedEpochs::epoch);
}

template <class V>
void describe(V&& v, const ImportRecord*) {
  v("history", &ImportRecord::history);
  v("receipt", &ImportRecord::receipt);
  v("principal", &ImportRecord::principal);
  v("begun_us", &ImportRecord::begun_us);
  v("claimed", &ImportRecord::claimed);
  v("last_time_us", &ImportRecord::last_time_us);
  v("records", &ImportRecord::records);
  v("commit", &ImportRecord::commit);
  v("blocks_of_commit", &ImportRecord::blocks_of_commit);
  v("moved_left", &ImportRecord::moved_left);
  v("versions", &ImportRecord::versions);
  v("without_artefact", &ImportRecord::without_artefact);
  v("epoch", &ImportRecord::epoch);
  v("finished_us", &ImportRecord::finished_us);
  v.bytes("cleared_run", &ImportRecord::cleared_run);
  v.bytes("cleared", &ImportRecord::cleared);
  v("has_runs_only", &ImportRecord::has_runs_only);
}

ESPALIER_WIRE_MESSAGE(ImportRequest);
ESPALIER_WIRE_REPLY(ImportReply);
ESPALIER_WIRE_MESSAGE(ImportRecord);

}  // namespace espalier::wire
