// The messages of the cluster, as plain values. Twin of docs/wire-protocol.md, which has the grammar, each message in
// hex and what a receiver must reject. Every message travels as  [request id][header: msgpack map][part] [part] …
//
// A header's map has the keys named like the members below; a member left at its default may be left out; unknown keys
// are ignored. Thread safety: values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/view.h"
#include "common/hash.h"
#include "common/status.h"
#include "common/uuid.h"
#include "model/value.h"

namespace espalier::wire {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kMaxClientMessageBytes = 16u << 20;     ///< all frames of a message from a client
inline constexpr std::size_t kMaxInternalMessageBytes = 256u << 20;  ///< the same inside the cluster
inline constexpr std::size_t kMaxParts = 65536;
inline constexpr std::int64_t kDefaultBudgetUs = 1'000'000;
inline constexpr std::int64_t kLongestBudgetUs = 600'000'000;  ///< a longer one counts as this

/// Why this node answered. On the wire and in records: never change. All but the first two are counted and watched.
enum class Reason : std::uint8_t {
  exact = 0,              ///< the node asked for has the wanted version, and it answered
  no_version = 1,         ///< the node asked for wants no version of its own: an ancestor answered
  previous = 2,           ///< the wanted version is not ready: the tag's last ready version of that node answered
  overlay_not_ready = 3,  ///< the overlay's version is not ready: the tag below answered
  cold = 4,               ///< wanted, not held here yet: an ancestor answered
  corrupt = 5,            ///< its artefact is damaged
  quarantined = 6,
  over_budget = 7,  ///< dropped to stay within the shard's memory or disk
  removed = 8,      ///< the overlay says "none" for it
};
std::string_view reason_name(Reason reason);

// ---------------------------------------------------------------------------------------------------- predictions

struct PartAsked {
  std::vector<std::string> partition;  ///< level values, outermost first; empty: the root
  std::string unit;                    ///< who is assigned in experiments; may be empty
  std::uint32_t rows = 1;              ///< rows in the part's body
};

/// op "predict", client to router and router to shard. One body frame a part, in order:
/// {"rows": [{field: value}…]} | {"columns": {field: [value…]}} | {"schema": n, "vectors": [[value…]…]}
struct PredictRequest {
  std::string tenant;
  std::string model;
  std::vector<std::string>
      refs;  ///< "tag:NAME" | "release:UUID" | "version:UUID"; empty: tag:production. One ref in this version.
  std::int64_t budget_us = kDefaultBudgetUs;  ///< what remains
  std::vector<PartAsked> parts;
  bool all_scores = false;      ///< give every class's probability, not the best one's only
  std::uint64_t min_epoch = 0;  ///< unavailable unless the shard knows this epoch
  // Set by the router; refused from a client.
  Uuid prediction;  ///< prediction id
  std::uint32_t attempt = 1;
  std::string principal;
  std::int64_t sent_us = 0;  ///< the router's monotonic clock when it sent this; 0: not said
  std::string shard;         ///< whom it is for; another that listens there now answers `unavailable`
};

struct Provenance {
  std::vector<std::string> asked;   ///< partition
  std::vector<std::string> served;  ///< partition
  std::string level;                ///< of the node that answered; "global" for the root
  Reason reason = Reason::exact;
  Uuid version;
  std::string tag;  ///< empty for a version ref
  Uuid release;     ///< that set the entry that answered
  std::uint64_t release_epoch = 0;
  std::string arm;
  bool exposed = false;
  std::uint64_t epoch = 0;  ///< newest epoch that the shard had applied for the model
  std::string shard;
  Uuid prediction;
  std::uint32_t attempt = 1;
};

struct PartAnswered {
  Code status = Code::ok;
  std::string message;  ///< when status is not ok
  std::uint32_t rows = 0;
  Provenance provenance;  ///< when status is ok
};

/// One body frame a part: {"value": [f64…]} for regression, else {"label": [text…], "probability": [f64…]} and, with
/// all_scores,
/// {"classes": [text…], "scores": [[f64…]…]}; an empty frame where the part's status is not ok.
struct PredictReply {
  Code status = Code::ok;  ///< of the request as a whole; always the first key of the map
  std::string message;
  std::int64_t retry_after_us = 0;  ///< with overloaded and unavailable
  std::vector<PartAnswered> parts;
};

// ------------------------------------------------------------------------------- registry: what every message carries

/// Every request to the registry is a map with "v", "op" and the members of its struct; every reply has "status",
/// "message" and, when ok, the members of its struct. Changes carry a client-chosen idem of 16 bytes: the same idem
/// gives the same reply for a day.

struct HelloRequest {
  std::string role;
  static constexpr std::string_view op = "hello";
};
struct HelloReply {
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;
  std::string version;  ///< of Espalier
  std::string role;     ///< "router", "shard s0"; empty: the registry
};

/// A shard enters the view (or changes its endpoints), or leaves it.
struct JoinRequest {
  Uuid idem;
  cluster::ShardInfo shard;
  Uuid process;  ///< of this run of the shard
  static constexpr std::string_view op = "join";
};
struct LeaveRequest {
  Uuid idem;
  std::string shard;
  static constexpr std::string_view op = "leave";
};
struct EpochReply {
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;
};

struct ViewRequest {
  static constexpr std::string_view op = "view";
};
struct ViewReply {
  std::uint64_t generation = 0;
  std::uint64_t epoch = 0;
  cluster::View view;
};

// ----------------------------------------------------------------------------------------------- registry: change feed

/// erased: the tenant is no more, with all that it had (docs/space.md).
enum class ChangeKind : std::uint8_t { view = 0, model = 1, release = 2, erased = 3 };
/// One of several tags that a commit moved.
struct TagMoved {
  std::string tag;
  Uuid release;
  std::uint64_t count = 0;  ///< nodes
};
struct Change {
  std::uint64_t epoch = 0;
  std::uint64_t previous = 0;  ///< epoch of the change before this one: a reader whose last epoch differs has a gap
  std::int64_t time_us = 0;    ///< wall clock
  ChangeKind kind = ChangeKind::view;
  std::string tenant, model, tag;  ///< view: empty
  Uuid release;
  std::uint64_t count = 0;     ///< nodes moved
  std::uint32_t levels = 0;    ///< of the model since then; placement depends on it
  std::vector<TagMoved> more;  ///< tags that the same commit moved too
};
/// Waits up to wait_us for a change after `after`; gives at most `credit` of them. With a foreign generation or a
/// collected epoch: `snapshot_required`, and the reader starts from a snapshot.
struct FeedRequest {
  std::uint64_t generation = 0, after = 0;
  std::uint32_t credit = 64;
  std::int64_t wait_us = 0;
  static constexpr std::string_view op = "feed";
};
struct FeedReply {
  std::uint64_t generation = 0, newest = 0;
  bool snapshot_required = false;
  std::vector<Change> changes;
};

enum class EntryKind : std::uint8_t { version = 0, removed = 1, unset = 2 };
/// What a tag says of a node.
struct TagEntry {
  std::vector<std::string> partition;
  EntryKind kind = EntryKind::version;
  Uuid version;
  Hash256 artefact;
  std::uint64_t artefact_bytes = 0;
  Uuid release;             ///< that set the entry
  std::uint64_t epoch = 0;  ///< in which it was set
  std::string tag;          ///< in changed_entries: whose entry it is, where that isn't the change's own tag
};
/// The entries that the change of `epoch` moved, in pages: `cursor` is empty first, then the reply's, until that is
/// empty.
struct ChangedEntriesRequest {
  std::uint64_t epoch = 0;
  std::string cursor;
  std::uint32_t limit = 4096;
  static constexpr std::string_view op = "changed_entries";
};
/// All entries of a tag as of an epoch, or as of the last change at or before `time_us` (both 0: now), in pages, by
/// partition; only the subtree under `under`.
struct TagEntriesRequest {
  std::string tenant, model, tag;
  std::uint64_t epoch = 0;
  std::vector<std::string> under;
  std::string cursor;
  std::uint32_t limit = 4096;
  std::int64_t time_us = 0;
  static constexpr std::string_view op = "tag_entries";
};
struct EntriesReply {
  std::uint64_t epoch = 0;
  std::vector<TagEntry> entries;
  std::string cursor;
};

/// A tag that stands on another: where it says nothing of a node, the one below decides.
struct Overlay {
  std::string tag, on;
};
struct ModelRecord {
  std::string tenant, model;
  std::string spec_json;
  Hash256 spec;
  model::Task task = model::Task::regression;
  std::vector<std::string> levels;
  std::uint32_t schema = 0;          ///< number of the input schema: how many fields of `fields` it has
  std::vector<model::Field> fields;  ///< add-only
  std::vector<std::string> tags;     ///< that were ever moved, or stand on another; by name
  std::vector<Overlay> overlays;     ///< by tag
  std::vector<Uuid> quarantined;     ///< versions that are out of service; ascending
};
/// All models (or one tenant's, or one) as of an epoch or a time (both 0: now), in pages.
struct ModelsRequest {
  std::string tenant, model;
  std::uint64_t epoch = 0;
  std::string cursor;
  std::uint32_t limit = 256;
  std::int64_t time_us = 0;
  static constexpr std::string_view op = "models";
};
struct ModelsReply {
  std::uint64_t generation = 0, epoch = 0;
  std::vector<ModelRecord> models;
  std::string cursor;
};

/// Shard to registry: it answers from `epoch` for everything it holds, except for what `failed` names.
struct AckFailure {
  std::string tenant, model;
  std::vector<std::string> partition;
  Uuid version;
  std::string why;
};
struct AckRequest {
  std::string shard;
  std::uint64_t generation = 0, epoch = 0;
  std::vector<AckFailure> failed;
  Uuid process;            ///< of this run of the shard
  std::uint64_t held = 0;  ///< it answers from this epoch, but its disk lacks what went out of service
  std::string unsaved;     ///< why, where `held` is set
  static constexpr std::string_view op = "ack";
};
struct AckReply {};
/// Answers when every shard of the view has acknowledged `epoch`, or when wait_us is over.
struct WaitRequest {
  std::uint64_t epoch = 0;
  std::int64_t wait_us = 0;
  static constexpr std::string_view op = "wait";
};
struct WaitReply {
  bool served = false;
  std::vector<std::string> missing;  ///< shards that have not acknowledged
  std::vector<AckFailure> failed;    ///< reported for this epoch
};

// -------------------------------------------------------------------------------------- registry: artefacts in and out

/// The reply has one body frame for each artefact of `found`, in the order asked, as many as fit max_bytes (at least
/// one).
struct FetchRequest {
  std::string tenant;
  std::vector<Hash256> artefacts;
  std::uint64_t max_bytes = 8u << 20;
  static constexpr std::string_view op = "fetch";
};
struct FetchReply {
  std::vector<Hash256> found;
  std::vector<Hash256> missing;
  std::uint32_t answered = 0;  ///< how many of the asked, from the front, this reply deals with
};
/// One body frame for each hash: artefacts in one upload. Checked (hash, format, probes) and durable when acknowledged.
/// Uploading what is there already does nothing. Senders keep at most 4 unanswered.
struct UploadRequest {
  std::string tenant;
  std::vector<Hash256> artefacts;
  static constexpr std::string_view op = "upload";
};
struct UploadReply {
  std::uint32_t stored = 0;
  std::uint32_t known = 0;
};

// --------------------------------------------------------------------------------- registry: versions, tags, releases

struct VersionRecord {
  Uuid version;
  std::vector<std::string> partition;
  Hash256 artefact;
  std::uint64_t artefact_bytes = 0;
  Hash256 base;
  Hash256 spec;
  Uuid release;  ///< in which it was published
  Uuid parent;   ///< version of the nearest ancestor in the same release; nil for the root
  std::uint64_t rows = 0;
  std::string metrics_json;  ///< {"rmse": …} on held-out rows
  std::string lineage_json;  ///< data source, fingerprint, parameters, stage times: docs/records.md
  std::string principal;
  std::int64_t created_us = 0;
  std::uint64_t epoch = 0;
  std::string description;
  std::map<std::string, std::string> properties;  ///< whatever its publisher says of it
  std::int64_t collected_us = 0;  ///< in replies: when its artefact was collected (docs/space.md); 0: it is there
};
/// Versions and tag movements as one commit: the release. Bodies: each a msgpack array of VersionRecord maps (any
/// number of frames). With `replace`, nodes that the tag names and this release does not are unset. With
/// `expected_release` the tag is changed only if that is its last release; with `expected_none`, only if it has none.
struct PublishRequest {
  Uuid idem;
  std::string tenant, model, tag;
  Uuid release;
  std::string spec_json;
  std::vector<model::Field> fields;  ///< input schema that the programs read
  std::string run_json;              ///< lineage of the release: data fingerprint, rows, stage times
  bool replace = true;
  Uuid expected_release;
  bool expected_none = false;
  static constexpr std::string_view op = "publish";
};
/// A release of versions that exist. Bodies: msgpack arrays of TagEntry maps (partition, kind, version).
/// With `from_release`: the tag takes the whole state that `from_release` left (no bodies). `expected_…`: as in
/// publish.
struct MoveRequest {
  Uuid idem;
  std::string tenant, model, tag;
  Uuid release;
  Uuid from_release;
  std::string note;
  Uuid expected_release;
  bool expected_none = false;
  static constexpr std::string_view op = "move";
};
struct ReleaseReply {
  std::uint64_t generation = 0, epoch = 0;
  Uuid release;
  std::uint64_t moved = 0;
};

struct ReleaseRecord {
  Uuid release;
  std::uint64_t epoch = 0;
  std::int64_t time_us = 0;
  std::string tag, principal, note, run_json;
  std::uint64_t moved = 0;
};
struct ReleasesRequest {  ///< newest first, in pages, as of an epoch or a time; `release` set: that one only
  std::string tenant, model;
  Uuid release;
  std::string cursor;
  std::uint32_t limit = 256;
  std::uint64_t epoch = 0;
  std::int64_t time_us = 0;
  static constexpr std::string_view op = "releases";
};
struct ReleasesReply {
  std::vector<ReleaseRecord> releases;
  std::string cursor;
};

/// By partition then newest first, in pages, as of an epoch or a time; `version` set: that one only.
struct VersionsRequest {
  std::string tenant, model;
  Uuid version;
  std::vector<std::string> under;
  std::string cursor;
  std::uint32_t limit = 1024;
  std::uint64_t epoch = 0;
  std::int64_t time_us = 0;
  static constexpr std::string_view op = "versions";
};
struct VersionsReply {
  std::vector<VersionRecord> versions;
  std::string cursor;
};

// --------------------------------------------------------------------------------------------------- to and from bytes

/// A message's header, or one record, as msgpack. Defined for the structs above (explicit instantiations in
/// messages*.cc). Requests get "v" and "op" of their own.
template <class T>
std::string encode(const T& message);
/// The first key of every reply is "status".
template <class T>
std::string encode_reply(const Status& status, const T& reply);
std::string encode_error(const Status& status, std::int64_t retry_after_us = 0);

/// invalid_argument names the key ("parts[3].rows: expected an unsigned integer, got text"). Takes what is left out as
/// default.
template <class T>
Result<T> decode(std::string_view header);
/// The reply's own failure, or its message.
template <class T>
Result<T> decode_reply(std::string_view header);

template <class T>
std::string encode_array(const std::vector<T>& records);
template <class T>
Result<std::vector<T>> decode_array(std::string_view body);

/// "v" and "op" of a request; invalid_argument: not a map, no op; unimplemented: a newer protocol.
Result<std::string> peek_op(std::string_view header);
/// "status" and "message" of a reply without decoding the rest.
Status peek_status(std::string_view header);

}  // namespace espalier::wire
