#include "registry/moving/import_slice.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "common/bytes.h"
#include "common/scheduling.h"
#include "model/ids.h"
#include "model/properties.h"
#include "model/spec.h"
#include "registry/keys.h"
#include "registry/moving/import.h"
#include "registry/moving/import_runs.h"
#include "registry/promote.h"
#include "registry/publish.h"
#include "registry/quarantine.h"
#include "registry/search/index.h"
#include "registry/space/retention.h"
#include "registry/upkeep/archive.h"
#include "registry/upkeep/findings.h"
#include "registry/upkeep/key_parts.h"

namespace espalier::registry {
namespace {

using keys::Table;

class ImportSlice {
 public:
  ImportSlice(Records& records, const wire::ImportRequest& request, wire::ImportRecord& import, Batch& batch)
      : records_(records),
        tenant_(request.tenant),
        model_(request.model),
        import_(import),
        batch_(batch),
        runs_(records, tenant_, model_, batch) {}

  Status take(std::string_view payload) {
    RETURN_IF_ERROR(find_state());
    std::size_t i = 0;
    RETURN_IF_ERROR(upkeep::each_record_of(payload, [&](std::string_view key, std::string_view value) -> Status {
      give_way();
      const std::string place =
          "records[" + std::to_string(i++) + "] (" + std::string(key.substr(0, 1)) + " " + upkeep::readable(key) + ")";
      if (i > kMostRecordsInStep) {
        return invalid_argument("records: at most " + std::to_string(kMostRecordsInStep) + " in one step");
      }
      return take(key, value).at(place);
    }));
    if (i == 0) return invalid_argument("records: at least one");
    end_commit();
    import_.records += i;
    return {};
  }

 private:
  struct Taken {
    std::string components;
    Hash256 artefact;
    std::uint64_t bytes = 0;
  };

  /// A table that comes along has its line here.
  Status take(std::string_view key, std::string_view value) {
    switch (static_cast<Table>(key.front())) {
      case Table::model: return take_state(key, value);
      case Table::retention: return take_rule(key, value);
      case Table::release: return take_release(key, value);
      case Table::version: return take_version(key, value);
      case Table::tag: return take_entry(key, value);
      case Table::run: {
        ASSIGN_OR_RETURN(const auto parts, upkeep::release_parts(key));  // built alike
        RETURN_IF_ERROR(enter(parts.tenant, parts.model, parts.epoch));
        return runs_.take_run(key, value, epoch_);
      }
      case Table::run_part: {
        ASSIGN_OR_RETURN(const auto parts, upkeep::run_parts(key));
        RETURN_IF_ERROR(enter(parts.tenant, model_, parts.epoch));
        return runs_.take_part(key, value, epoch_);
      }
      case Table::run_file: return runs_.take_file(key, value);
      default: return invalid_argument("a table that no history has");
    }
  }

  /// The model as of the last commit that came.
  Status find_state() {
    const std::string waiting = keys::import_record(tenant_, model_);
    ASSIGN_OR_RETURN(const auto cursor, records_.store.scan());
    cursor->seek_before(keys::behind(waiting));
    RETURN_IF_ERROR(cursor->status());
    if (!cursor->valid() || !cursor->key().starts_with(waiting) || cursor->key() == waiting) return {};
    auto state = wire::decode<wire::ModelRecord>(cursor->value());
    if (!state.ok()) return bad_record(cursor->key(), state.status());
    set_state(*std::move(state));
    return {};
  }

  void set_state(wire::ModelRecord state) {
    state_ = std::move(state);
    field_types_.clear();
    checked_inputs_.clear();
    for (const auto& field : state_->fields) field_types_.emplace(field.name, field.type);
  }

  /// Into the commit that a record is of.
  Status enter(std::string_view tenant, std::string_view model, std::uint64_t commit) {
    if (tenant != tenant_ || model != model_) return invalid_argument("of another model");
    if (commit != import_.commit) {
      if (commit != import_.commit + 1) {
        return invalid_argument("of commit " + std::to_string(commit) + ", the last was " +
                                std::to_string(import_.commit));
      }
      end_commit();
      RETURN_IF_ERROR(check_all_moved(import_));
      import_.commit = commit;
      import_.blocks_of_commit = 0;
      releases_.clear();
    }
    if (epoch_ == 0) {
      std::uint64_t before = 0;
      for (const auto& claimed : import_.claimed) {
        if (commit > before && commit <= before + claimed.commits) epoch_ = claimed.epoch + (commit - before - 1);
        before += claimed.commits;
      }
      if (epoch_ == 0) return invalid_argument("of commit " + std::to_string(commit) + ", which has no time");
      index_.emplace(tenant_, model_, epoch_, static_cast<std::uint32_t>(import_.blocks_of_commit));
    }
    return {};
  }

  /// What of it is in this slice, into the search index.
  void end_commit() {
    if (epoch_ == 0) return;
    index_->write(batch_);
    runs_.end_commit(epoch_);
    import_.blocks_of_commit += index_->blocks();
    index_.reset();
    epoch_ = 0;
  }

  Status take_state(std::string_view key, std::string_view value) {
    ASSIGN_OR_RETURN(const auto parts, upkeep::model_parts(key));
    RETURN_IF_ERROR(enter(parts.tenant, parts.model, parts.epoch));
    ASSIGN_OR_RETURN(auto state, wire::decode<wire::ModelRecord>(value));
    if (state.tenant != tenant_ || state.model != model_) return invalid_argument("of another model");
    RETURN_IF_ERROR(check_text("spec_json", state.spec_json, kMaxSpecBytes, false));
    auto spec = model::Spec::parse_json(state.spec_json);
    if (!spec.ok()) return spec.status().at("spec_json");
    if (blake2b_256(state.spec_json) != state.spec || spec->model != model_ || spec->task != state.task) {
      return invalid_argument("spec: not the one of spec_json, or of another model");
    }
    ASSIGN_OR_RETURN(const auto levels,
                     evolve_levels(state_ ? state_->levels : std::vector<std::string>(), spec->levels));
    if (state.levels != levels) return invalid_argument("levels: not those of the specs so far");
    if (state.levels.size() > model::kMaxLevels || state.schema != state.fields.size()) {
      return invalid_argument("too many levels, or another number of fields than the schema's");
    }
    RETURN_IF_ERROR(evolve_schema({}, state.fields).status());
    for (const std::string& tag : state.tags) RETURN_IF_ERROR(model::check_name("tag", tag));
    if (state.tags.size() > kMaxTags) {
      return invalid_argument("tags: " + std::to_string(state.tags.size()) + " of them, at most " +
                              std::to_string(kMaxTags) + " are allowed");
    }
    if (std::ranges::adjacent_find(state.tags, std::ranges::greater_equal()) != state.tags.end()) {
      return invalid_argument("tags: not in order, or one twice");
    }
    RETURN_IF_ERROR(check_overlays(state.overlays, state.tags));
    if (state.quarantined.size() > kMostQuarantined) {
      return invalid_argument("quarantined: " + std::to_string(state.quarantined.size()) + " of them, at most " +
                              std::to_string(kMostQuarantined) + " are allowed");
    }
    if (std::ranges::adjacent_find(state.quarantined, std::ranges::greater_equal()) != state.quarantined.end()) {
      return invalid_argument("quarantined: not in order, or one twice");
    }
    batch_.put(keys::spec(tenant_, state.spec), state.spec_json);
    specs_.insert(state.spec);
    batch_.put(keys::import_state(tenant_, model_, epoch_), wire::encode(state));
    set_state(std::move(state));
    return {};
  }

  Status check_state() const { return state_ ? Status() : invalid_argument("the model's state comes first"); }

  Status take_rule(std::string_view key, std::string_view value) {
    ASSIGN_OR_RETURN(const auto parts, upkeep::model_parts(key));
    RETURN_IF_ERROR(enter(parts.tenant, parts.model, parts.epoch));
    ASSIGN_OR_RETURN(auto rule, wire::decode<wire::RetentionRule>(value));
    RETURN_IF_ERROR(check_rule(rule));
    rule.epoch = epoch_;
    batch_.put(keys::retention(tenant_, model_, epoch_), wire::encode(rule));
    return {};
  }

  Status take_release(std::string_view key, std::string_view value) {
    ASSIGN_OR_RETURN(const auto parts, upkeep::release_parts(key));
    RETURN_IF_ERROR(enter(parts.tenant, parts.model, parts.epoch));
    RETURN_IF_ERROR(check_state());
    ASSIGN_OR_RETURN(auto release, wire::decode<wire::ReleaseRecord>(value));
    if (release.release != parts.release) return invalid_argument("says that it is another release");
    if (!std::ranges::binary_search(state_->tags, release.tag)) return invalid_argument("tag: not one of the model's");
    RETURN_IF_ERROR(check_text("note", release.note, kMaxNoteBytes, false));
    RETURN_IF_ERROR(check_text("run_json", release.run_json, kMaxRunBytes, true));
    RETURN_IF_ERROR(records_.releases.check_free(tenant_, release.release));
    if (!new_releases_.insert(release.release).second) return invalid_argument("comes twice");
    release.epoch = epoch_;
    import_.moved_left += static_cast<std::int64_t>(release.moved);
    const std::string at = keys::release(tenant_, model_, epoch_, release.release);
    batch_.put(at, wire::encode(release));
    batch_.put(keys::release_by_uuid(tenant_, release.release), at);
    index_->add(release);
    releases_.emplace(release.release, release.tag);
    return {};
  }

  /// The tag that a release of this commit moved. not_found: there is no such release.
  Result<std::string> tag_of(const Uuid& release) {
    const auto known = releases_.find(release);
    if (known != releases_.end()) return known->second;
    const Status missing = not_found("release " + release.text() + " of that commit");
    const auto record = records_.releases.get(tenant_, model_, release);
    if (!record.ok()) return record.status().code() == Code::not_found ? missing : record.status();
    if (record->epoch != epoch_) return missing;
    releases_.emplace(release, record->tag);
    return record->tag;
  }

  Status take_version(std::string_view key, std::string_view value) {
    ASSIGN_OR_RETURN(const auto parts, upkeep::version_parts(key));
    RETURN_IF_ERROR(enter(parts.tenant, parts.model, parts.epoch));
    RETURN_IF_ERROR(check_state());
    ASSIGN_OR_RETURN(auto version, wire::decode<wire::VersionRecord>(value));
    RETURN_IF_ERROR(check_partition(version.partition, state_->levels.size()));
    if (version.version != parts.version || keys::components(version.partition) != parts.components) {
      return invalid_argument("says that it is another version");
    }
    if (version.version.is_nil()) return invalid_argument("version: a UUID that is not nil is needed");
    RETURN_IF_ERROR(tag_of(version.release).status());
    ASSIGN_OR_RETURN(const bool is_taken, records_.versions.is_taken(tenant_, version.version));
    if (is_taken || versions_.contains(version.version)) {
      return Status(Code::already_exists, "version " + version.version.text());
    }
    RETURN_IF_ERROR(check_texts(version));
    RETURN_IF_ERROR(check_references(version));
    ++import_.versions;
    if (version.collected_us != 0) {
      ++import_.without_artefact;
      std::string mark;
      append(mark, std::exchange(version.collected_us, 0));
      batch_.put(keys::collected(tenant_, version.version), mark.append(import_.receipt.view()));
    }
    version.epoch = epoch_;
    const std::string& components = components_.emplace_back(parts.components);
    const std::string at =
        keys::version_at(keys::versions_prefix(tenant_, model_), components, epoch_, version.version);
    batch_.put(at, wire::encode(version));
    batch_.put(keys::version_by_uuid(tenant_, version.version), at);
    index_->add(components, version);
    versions_.emplace(version.version, Taken{components, version.artefact, version.artefact_bytes});
    return {};
  }

  Status check_texts(const wire::VersionRecord& version) {
    RETURN_IF_ERROR(check_text("metrics_json", version.metrics_json, kMaxVersionTextBytes, true));
    if (version.lineage_json != checked_lineage_) {
      RETURN_IF_ERROR(check_text("lineage_json", version.lineage_json, kMaxVersionTextBytes, true));
      checked_lineage_ = version.lineage_json;
    }
    RETURN_IF_ERROR(model::check_description(version.description));
    RETURN_IF_ERROR(model::check_properties(version.properties));
    if (version.created_us >= batch_.time_us()) return invalid_argument("created_us: ahead of this registry's clock");
    return {};
  }

  Status check_references(const wire::VersionRecord& version) {
    if (!specs_.contains(version.spec)) {
      ASSIGN_OR_RETURN(const auto spec, records_.store.get(keys::spec(tenant_, version.spec)));
      if (!spec) return not_found("spec " + version.spec.hex());
      specs_.insert(version.spec);
    }
    if (!version.parent.is_nil() && !versions_.contains(version.parent)) {
      RETURN_IF_ERROR(records_.versions.get(tenant_, model_, version.parent).status().at("parent"));
    }
    return version.collected_us == 0 ? check_artefact(version) : Status();
  }

  Status check_artefact(const wire::VersionRecord& version) {
    ASSIGN_OR_RETURN(const auto artefact, records_.artefacts.find(tenant_, version.artefact));
    if (!artefact) return not_found("artefact " + version.artefact.hex());
    if (artefact->task != state_->task) return invalid_argument("artefact: of another task than the model's");
    if (artefact->base != version.base || artefact->bytes != version.artefact_bytes) {
      return invalid_argument("artefact: has another base or size than the version says");
    }
    if (!version.base.is_none()) {
      ASSIGN_OR_RETURN(const auto base, records_.artefacts.find(tenant_, version.base));
      if (!base) return not_found("base " + version.base.hex());
    }
    if (artefact->inputs == checked_inputs_) return {};
    ASSIGN_OR_RETURN(const auto inputs, fields_of(artefact->inputs));
    for (const auto& input : inputs) {
      const auto field = field_types_.find(input.name);
      if (field == field_types_.end() || field->second != input.type) {
        return invalid_argument("artefact: reads the field " + input.name +
                                ", which the model's input schema lacks or has as another type");
      }
    }
    checked_inputs_ = artefact->inputs;
    return {};
  }

  Status take_entry(std::string_view key, std::string_view value) {
    ASSIGN_OR_RETURN(const auto parts, upkeep::tag_parts(key));
    RETURN_IF_ERROR(enter(parts.tenant, parts.model, parts.epoch));
    RETURN_IF_ERROR(check_state());
    ASSIGN_OR_RETURN(const auto entry, decode_entry(value));
    ASSIGN_OR_RETURN(const std::string tag, tag_of(entry.release));
    if (tag != parts.tag) return invalid_argument("its release moved tag " + tag);
    ASSIGN_OR_RETURN(const auto values, model::split_components(parts.components));
    RETURN_IF_ERROR(check_partition(values, state_->levels.size()));
    if (entry.kind == wire::EntryKind::version) RETURN_IF_ERROR(check_named(parts.components, entry));
    const std::string at = keys::node_at(keys::tag_prefix(tenant_, model_, parts.tag), parts.components, epoch_);
    ASSIGN_OR_RETURN(const auto twice, records_.store.get(at));
    if (twice || !entries_.insert(at).second) return invalid_argument("comes twice");
    if (--import_.moved_left < 0) return invalid_argument("more entries than the commit's releases moved");
    batch_.put(at, value);
    return {};
  }

  /// An entry names a version of its node.
  Status check_named(std::string_view components, const wire::TagEntry& entry) {
    auto known = versions_.find(entry.version);
    if (known == versions_.end()) {
      ASSIGN_OR_RETURN(const auto version, records_.versions.get(tenant_, model_, entry.version));
      Taken taken{keys::components(version.partition), version.artefact, version.artefact_bytes};
      known = versions_.emplace(entry.version, std::move(taken)).first;
    }
    const Taken& taken = known->second;
    if (taken.components == components && taken.artefact == entry.artefact && taken.bytes == entry.artefact_bytes) {
      return {};
    }
    return invalid_argument("version " + entry.version.text() + " is another node's, or has another artefact");
  }

  Records& records_;
  const std::string &tenant_, &model_;
  wire::ImportRecord& import_;
  Batch& batch_;

  std::uint64_t epoch_ = 0;  ///< of the commit that records are taken of; 0: of none yet
  std::optional<search::CommitIndex> index_;
  std::optional<wire::ModelRecord> state_;
  std::unordered_map<std::string, model::FieldType> field_types_;
  std::string checked_inputs_, checked_lineage_;
  std::deque<std::string> components_;  ///< that the index borrows

  // What was seen so far; of this slice, or looked up.
  std::unordered_map<Uuid, std::string> releases_;  ///< of the commit: the tag of each
  std::set<Uuid> new_releases_;
  std::unordered_map<Uuid, Taken> versions_;
  std::set<Hash256> specs_;
  std::set<std::string> entries_;
  ImportedRuns runs_;
};

}  // namespace

Status take_slice(Records& records, const wire::ImportRequest& request, std::string_view payload,
                  wire::ImportRecord& import, Batch& batch) {
  return ImportSlice(records, request, import, batch).take(payload);
}

Status check_all_moved(const wire::ImportRecord& import) {
  if (import.moved_left == 0) return {};
  return invalid_argument("commit " + std::to_string(import.commit) + " moved " + std::to_string(import.moved_left) +
                          " nodes more than entries came");
}

}  // namespace espalier::registry
