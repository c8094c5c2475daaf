// Messages of models, tags, artefacts, versions and releases.
#include "wire/described.h"

namespace espalier::model {

template <class V>
void describe(V&& v, const Field*) {
  v("name", &Field::name);
  v("type", &Field::type);
}

}  // namespace espalier::model

namespace espalier::wire {

template <class V>
void describe(V&& v, const TagEntry*) {
  v("partition", &TagEntry::partition);
  v("kind", &TagEntry::kind);
  v("version", &TagEntry::version);
  v("artefact", &TagEntry::artefact);
  v("artefact_bytes", &TagEntry::artefact_bytes);
  v("release", &TagEntry::release);
  v("epoch", &TagEntry::epoch);
  v("tag", &TagEntry::tag);
}

template <class V>
void describe(V&& v, const ChangedEntriesRequest*) {
  v("epoch", &ChangedEntriesRequest::epoch);
  v.bytes("cursor", &ChangedEntriesRequest::cursor);
  v("limit", &ChangedEntriesRequest::limit);
}

template <class V>
void describe(V&& v, const TagEntriesRequest*) {
  v("tenant", &TagEntriesRequest::tenant);
  v("model", &TagEntriesRequest::model);
  v("tag", &TagEntriesRequest::tag);
  v("epoch", &TagEntriesRequest::epoch);
  v("under", &TagEntriesRequest::under);
  v.bytes("cursor", &TagEntriesRequest::cursor);
  v("limit", &TagEntriesRequest::limit);
  v("time_us", &TagEntriesRequest::time_us);
}

template <class V>
void describe(V&& v, const EntriesReply*) {
  v("epoch", &EntriesReply::epoch);
  v("entries", &EntriesReply::entries);
  v.bytes("cursor", &EntriesReply::cursor);
}

template <class V>
void describe(V&& v, const Overlay*) {
  v("tag", &Overlay::tag);
  v("on", &Overlay::on);
}

template <class V>
void describe(V&& v, const ModelRecord*) {
  v("tenant", &ModelRecord::tenant);
  v("model", &ModelRecord::model);
  v("spec_json", &ModelRecord::spec_json);
  v("spec", &ModelRecord::spec);
  v("task", &ModelRecord::task);
  v("levels", &ModelRecord::levels);
  v("schema", &ModelRecord::schema);
  v("fields", &ModelRecord::fields);
  v("tags", &ModelRecord::tags);
  v("overlays", &ModelRecord::overlays);
  v("quarantined", &ModelRecord::quarantined);
}

template <class V>
void describe(V&& v, const ModelsRequest*) {
  v("tenant", &ModelsRequest::tenant);
  v("model", &ModelsRequest::model);
  v("epoch", &ModelsRequest::epoch);
  v.bytes("cursor", &ModelsRequest::cursor);
  v("limit", &ModelsRequest::limit);
  v("time_us", &ModelsRequest::time_us);
}

template <class V>
void describe(V&& v, const ModelsReply*) {
  v("generation", &ModelsReply::generation);
  v("epoch", &ModelsReply::epoch);
  v("models", &ModelsReply::models);
  v.bytes("cursor", &ModelsReply::cursor);
}

template <class V>
void describe(V&& v, const FetchRequest*) {
  v("tenant", &FetchRequest::tenant);
  v("artefacts", &FetchRequest::artefacts);
  v("max_bytes", &FetchRequest::max_bytes);
}

template <class V>
void describe(V&& v, const FetchReply*) {
  v("found", &FetchReply::found);
  v("missing", &FetchReply::missing);
  v("answered", &FetchReply::answered);
}

template <class V>
void describe(V&& v, const UploadRequest*) {
  v("tenant", &UploadRequest::tenant);
  v("artefacts", &UploadRequest::artefacts);
}

template <class V>
void describe(V&& v, const UploadReply*) {
  v("stored", &UploadReply::stored);
  v("known", &UploadReply::known);
}

template <class V>
void describe(V&& v, const VersionRecord*) {
  v("version", &VersionRecord::version);
  v("partition", &VersionRecord::partition);
  v("artefact", &VersionRecord::artefact);
  v("artefact_bytes", &VersionRecord::artefact_bytes);
  v("base", &VersionRecord::base);
  v("spec", &VersionRecord::spec);
  v("release", &VersionRecord::release);
  v("parent", &VersionRecord::parent);
  v("rows", &VersionRecord::rows);
  v("metrics_json", &VersionRecord::metrics_json);
  v("lineage_json", &VersionRecord::lineage_json);
  v("principal", &VersionRecord::principal);
  v("created_us", &VersionRecord::created_us);
  v("epoch", &VersionRecord::epoch);
  v("description", &VersionRecord::description);
  v("properties", &VersionRecord::properties);
  v("collected_us", &VersionRecord::collected_us);
}

template <class V>
void describe(V&& v, const PublishRequest*) {
  v("idem", &PublishRequest::idem);
  v("tenant", &PublishRequest::tenant);
  v("model", &PublishRequest::model);
  v("tag", &PublishRequest::tag);
  v("release", &PublishRequest::release);
  v("spec_json", &PublishRequest::spec_json);
  v("fields", &PublishRequest::fields);
  v("run_json", &PublishRequest::run_json);
  v("replace", &PublishRequest::replace);
  v("expected_release", &PublishRequest::expected_release);
  v("expected_none", &PublishRequest::expected_none);
}

template <class V>
void describe(V&& v, const MoveRequest*) {
  v("idem", &MoveRequest::idem);
  v("tenant", &MoveRequest::tenant);
  v("model", &MoveRequest::model);
  v("tag", &MoveRequest::tag);
  v("release", &MoveRequest::release);
  v("from_release", &MoveRequest::from_release);
  v("note", &MoveRequest::note);
  v("expected_release", &MoveRequest::expected_release);
  v("expected_none", &MoveRequest::expected_none);
}

template <class V>
void describe(V&& v, const ReleaseReply*) {
  v("generation", &ReleaseReply::generation);
  v("epoch", &ReleaseReply::epoch);
  v("release", &ReleaseReply::release);
  v("moved", &ReleaseReply::moved);
}

template <class V>
void describe(V&& v, const ReleaseRecord*) {
  v("release", &ReleaseRecord::release);
  v("epoch", &ReleaseRecord::epoch);
  v("time_us", &ReleaseRecord::time_us);
  v("tag", &ReleaseRecord::tag);
  v("principal", &ReleaseRecord::principal);
  v("note", &ReleaseRecord::note);
  v("run_json", &ReleaseRecord::run_json);
  v("moved", &ReleaseRecord::moved);
}

template <class V>
void describe(V&& v, const ReleasesRequest*) {
  v("tenant", &ReleasesRequest::tenant);
  v("model", &ReleasesRequest::model);
  v("release", &ReleasesRequest::release);
  v.bytes("cursor", &ReleasesRequest::cursor);
  v("limit", &ReleasesRequest::limit);
  v("epoch", &ReleasesRequest::epoch);
  v("time_us", &ReleasesRequest::time_us);
}

template <class V>
void describe(V&& v, const ReleasesReply*) {
  v("releases", &ReleasesReply::releases);
  v.bytes("cursor", &ReleasesReply::cursor);
}

template <class V>
void describe(V&& v, const VersionsRequest*) {
  v("tenant", &VersionsRequest::tenant);
  v("model", &VersionsRequest::model);
  v("version", &VersionsRequest::version);
  v("under", &VersionsRequest::under);
  v.bytes("cursor", &VersionsRequest::cursor);
  v("limit", &VersionsRequest::limit);
  v("epoch", &VersionsRequest::epoch);
  v("time_us", &VersionsRequest::time_us);
}

template <class V>
void describe(V&& v, const VersionsReply*) {
  v("versions", &VersionsReply::versions);
  v.bytes("cursor", &VersionsReply::cursor);
}

ESPALIER_WIRE_RECORD(TagEntry);
ESPALIER_WIRE_MESSAGE(ChangedEntriesRequest);
ESPALIER_WIRE_MESSAGE(TagEntriesRequest);
ESPALIER_WIRE_REPLY(EntriesReply);
ESPALIER_WIRE_RECORD(ModelRecord);
ESPALIER_WIRE_MESSAGE(ModelsRequest);
ESPALIER_WIRE_REPLY(ModelsReply);
ESPALIER_WIRE_MESSAGE(FetchRequest);
ESPALIER_WIRE_REPLY(FetchReply);
ESPALIER_WIRE_MESSAGE(UploadRequest);
ESPALIER_WIRE_REPLY(UploadReply);
ESPALIER_WIRE_RECORD(VersionRecord);
ESPALIER_WIRE_MESSAGE(PublishRequest);
ESPALIER_WIRE_MESSAGE(MoveRequest);
ESPALIER_WIRE_REPLY(ReleaseReply);
ESPALIER_WIRE_RECORD(ReleaseRecord);
ESPALIER_WIRE_MESSAGE(ReleasesRequest);
ESPALIER_WIRE_REPLY(ReleasesReply);
ESPALIER_WIRE_MESSAGE(VersionsRequest);
ESPALIER_WIRE_REPLY(VersionsReply);

}  // namespace espalier::wire
