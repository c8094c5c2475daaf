#include "registry/publish.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "common/bytes.h"
#include "common/json_depth.h"
#include "common/scheduling.h"
#include "model/properties.h"
#include "model/spec.h"
#include "registry/keys.h"
#include "registry/place_set.h"
#include "registry/search/index.h"
#include "registry/search/plain_numbers.h"

namespace espalier::registry {
namespace {

/// Their places are numbers of 32 bits.
constexpr std::size_t kMostVersions = std::size_t{1} << 31;

class Publish {
 public:
  Publish(Records& records, const Principal& principal, const wire::PublishRequest& request, Batch& batch)
      : records_(records), principal_(principal), request_(request), batch_(batch), now_(batch.epoch() - 1) {}

  Result<wire::ReleaseReply> prepare(const std::vector<std::string_view>& bodies) {
    RETURN_IF_ERROR(check_names(request_.tenant, request_.model, request_.tag));
    RETURN_IF_ERROR(records_.erased.check(request_.tenant));
    RETURN_IF_ERROR(check_text("run_json", request_.run_json, kMaxRunBytes, true));
    RETURN_IF_ERROR(records_.releases.check_free(request_.tenant, request_.release));
    RETURN_IF_ERROR(records_.releases.check_last(expected_of(request_), now_));
    RETURN_IF_ERROR(check_spec());
    RETURN_IF_ERROR(check_model());
    RETURN_IF_ERROR(decode(bodies));
    for (std::size_t i = 0; i < versions_.size(); ++i) {
      RETURN_IF_ERROR(check_version(i).at("versions[" + std::to_string(i) + "]"));
    }
    for (std::size_t i = 0; i < versions_.size(); ++i) {
      RETURN_IF_ERROR(check_parent(*versions_[i]).at("versions[" + std::to_string(i) + "].parent"));
    }
    return write();
  }

 private:
  /// What artefacts read, encoded, and whether the model's schema was found to have it: the nodes of a tree mostly read
  /// the same.
  using Inputs = std::pair<const std::string, bool>;
  /// What has to be known of a version's artefact.
  struct Found {
    std::uint64_t bytes = 0;
    Hash256 base;
    Inputs* inputs = nullptr;  ///< null: the tenant doesn't have the artefact
    model::Task task = model::Task::regression;
  };

  Status check_spec() {
    RETURN_IF_ERROR(check_text("spec_json", request_.spec_json, kMaxSpecBytes, false));
    auto spec = model::Spec::parse_json(request_.spec_json);
    if (!spec.ok()) return spec.status().at("spec_json");
    spec_ = *std::move(spec);
    spec_hash_ = spec_.hash();
    if (spec_.model != request_.model) {
      return invalid_argument("spec_json: the spec is of model " + spec_.model + ", the release of model " +
                              request_.model);
    }
    if (spec_.levels.size() > model::kMaxLevels) return invalid_argument("spec_json: too many levels");
    return {};
  }

  /// The model as the release leaves it.
  Status check_model() {
    ASSIGN_OR_RETURN(const auto existing, records_.models.find(request_.tenant, request_.model, now_));
    if (!existing) RETURN_IF_ERROR(records_.imports.check_none_under_way(request_.tenant, request_.model));
    if (existing) {
      model_ = *existing;
      model_before_ = wire::encode(*existing);
    }
    if (existing && existing->task != spec_.task) {
      return failed_precondition("spec_json: task " + std::string(model::task_name(spec_.task)) +
                                 ", but the model's is " + std::string(model::task_name(existing->task)));
    }
    model_.tenant = request_.tenant;
    model_.model = request_.model;
    model_.task = spec_.task;
    model_.spec = spec_hash_;
    model_.spec_json = spec_.json();
    ASSIGN_OR_RETURN(model_.levels, evolve_levels(model_.levels, spec_.levels));
    ASSIGN_OR_RETURN(model_.fields, evolve_schema(model_.fields, request_.fields));
    model_.schema = static_cast<std::uint32_t>(model_.fields.size());
    RETURN_IF_ERROR(add_tag(model_, request_.tag));
    for (const auto& field : model_.fields) field_types_.emplace(field.name, field.type);
    return {};
  }

  Status decode(const std::vector<std::string_view>& bodies) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      auto records = wire::decode_array<wire::VersionRecord>(bodies[i]);
      if (!records.ok()) return records.status().at("body " + std::to_string(i));
      count += records->size();
      decoded_.push_back(*std::move(records));
    }
    if (count == 0) return invalid_argument("versions: a release needs at least one");
    if (count >= kMostVersions) return invalid_argument("versions: " + std::to_string(count) + " are too many");
    versions_.reserve(count);
    for (auto& records : decoded_) {
      for (wire::VersionRecord& version : records) versions_.push_back(&version);
    }
    list_components();
    is_known_.reserve(count);
    nodes_.emplace(count);
    uuids_.emplace(count);
    RETURN_IF_ERROR(find_artefacts());
    return find_whether_any_is_known();
  }

  void list_components() {
    std::vector<std::size_t> ends;
    ends.reserve(versions_.size());
    for (const wire::VersionRecord* version : versions_) {
      for (const std::string& value : version->partition) model::append_component(all_components_, value);
      ends.push_back(all_components_.size());
    }
    components_.reserve(versions_.size());
    std::size_t at = 0;
    for (const std::size_t end : ends) {
      components_.push_back(std::string_view(all_components_).substr(at, end - at));
      at = end;
    }
  }

  /// In the order of their hashes, which is that of the records.
  Status find_artefacts() {
    struct Wanted {
      std::uint64_t begin;  ///< of the hash, as a number that orders as its bytes do
      std::uint32_t version;
    };
    std::vector<Wanted> wanted;
    wanted.reserve(versions_.size());
    for (const wire::VersionRecord* version : versions_) {
      wanted.push_back({load_u64_be(version->artefact.view().data()), static_cast<std::uint32_t>(wanted.size())});
    }
    std::ranges::sort(wanted, [&](const Wanted& a, const Wanted& b) {
      if (a.begin != b.begin) return a.begin < b.begin;
      return versions_[a.version]->artefact < versions_[b.version]->artefact;
    });
    std::vector<Hash256> hashes;
    hashes.reserve(wanted.size());
    for (const Wanted& artefact : wanted) hashes.push_back(versions_[artefact.version]->artefact);
    artefacts_.resize(versions_.size());
    std::string last_inputs;
    Inputs* last = nullptr;
    return records_.artefacts.find_all(request_.tenant, hashes, [&](std::size_t i, const ArtefactRecord& record) {
      if (last == nullptr || record.inputs != last_inputs) {
        last_inputs = record.inputs;
        last = &*inputs_.try_emplace(record.inputs, false).first;
      }
      artefacts_[wanted[i].version] = {record.bytes, record.base, last, record.task};
    });
  }

  /// UUIDs follow each other in time, so that mostly nothing lies between the least and the greatest of a release: one
  /// look instead of one for each.
  Status find_whether_any_is_known() {
    const auto uuid = [](const wire::VersionRecord* version) { return version->version; };
    const auto [least, greatest] = std::ranges::minmax_element(versions_, {}, uuid);
    ASSIGN_OR_RETURN(any_may_be_known_,
                     records_.versions.is_any_taken(request_.tenant, (*least)->version, (*greatest)->version));
    return {};
  }

  bool has_node(std::string_view components) const {
    return nodes_->contains(xxh3_64(components), [&](std::uint32_t other) { return components_[other] == components; });
  }
  bool has_version(const Uuid& version) const {
    return uuids_->contains(xxh3_64(version.view()),
                            [&](std::uint32_t other) { return versions_[other]->version == version; });
  }

  Status check_version(std::size_t i) {
    give_way();
    wire::VersionRecord& version = *versions_[i];
    const auto place = static_cast<std::uint32_t>(i);
    RETURN_IF_ERROR(check_partition(version.partition, model_.levels.size()));
    if (!nodes_->insert(xxh3_64(components_[i]), place,
                        [&](std::uint32_t other) { return components_[other] == components_[i]; })) {
      return invalid_argument("partition: named twice in this release");
    }
    if (version.version.is_nil()) return invalid_argument("version: a UUID that is not nil is needed");
    if (!uuids_->insert(xxh3_64(version.version.view()), place,
                        [&](std::uint32_t other) { return versions_[other]->version == version.version; })) {
      return invalid_argument("version: " + version.version.text() + " comes twice in this release");
    }
    if (version.metrics_json.size() > kMaxVersionTextBytes ||
        !search::read_plain_numbers(version.metrics_json, numbers_)) {
      RETURN_IF_ERROR(check_text("metrics_json", version.metrics_json, kMaxVersionTextBytes, true));
    }
    // The versions of a release mostly have the same lineage.
    if (version.lineage_json != checked_lineage_) {
      RETURN_IF_ERROR(check_text("lineage_json", version.lineage_json, kMaxVersionTextBytes, true));
      checked_lineage_ = version.lineage_json;
    }
    RETURN_IF_ERROR(model::check_description(version.description));
    RETURN_IF_ERROR(model::check_properties(version.properties));
    RETURN_IF_ERROR(check_artefact(version, artefacts_[i]));
    if (!version.spec.is_none() && version.spec != spec_hash_) {
      return invalid_argument("spec: not the hash of the release's spec");
    }
    version.spec = spec_hash_;
    return check_known(version);
  }

  Status check_artefact(wire::VersionRecord& version, const Found& artefact) {
    if (artefact.inputs == nullptr) return not_found("artefact " + version.artefact.hex());
    if (artefact.task != spec_.task) {
      return invalid_argument("artefact: its task is " + std::string(model::task_name(artefact.task)) +
                              ", the model's is " + std::string(model::task_name(spec_.task)));
    }
    if (!version.base.is_none() && version.base != artefact.base) {
      return invalid_argument("base: the artefact was made on another base");
    }
    version.base = artefact.base;
    version.artefact_bytes = artefact.bytes;
    if (!version.base.is_none()) {
      ASSIGN_OR_RETURN(const auto base, records_.artefacts.find(request_.tenant, version.base));
      if (!base) return not_found("base " + version.base.hex());
    }
    return check_inputs(*artefact.inputs);
  }

  Status check_inputs(Inputs& checked) {
    if (checked.second) return {};
    ASSIGN_OR_RETURN(const auto inputs, fields_of(checked.first));
    for (const auto& input : inputs) {
      const auto field = field_types_.find(input.name);
      if (field == field_types_.end()) {
        return invalid_argument("artefact: reads the field " + input.name + ", which the model's input schema lacks");
      }
      if (field->second != input.type) {
        return invalid_argument("artefact: reads the field " + input.name + " as a " +
                                std::string(model::field_type_name(input.type)) + ", the input schema has a " +
                                std::string(model::field_type_name(field->second)));
      }
    }
    checked.second = true;
    return {};
  }

  /// A version that is there already may be released again as it is.
  Status check_known(const wire::VersionRecord& version) {
    bool taken = false;
    if (any_may_be_known_) {
      ASSIGN_OR_RETURN(taken, records_.versions.is_taken(request_.tenant, version.version));
    }
    is_known_.push_back(taken);
    if (!taken) return {};
    ASSIGN_OR_RETURN(const auto known, records_.versions.find(request_.tenant, request_.model, version.version));
    const bool same = known && known->partition == version.partition && known->artefact == version.artefact &&
                      known->spec == version.spec && known->rows == version.rows &&
                      known->metrics_json == version.metrics_json && known->lineage_json == version.lineage_json &&
                      known->description == version.description && known->properties == version.properties;
    if (same) return records_.collected.check(request_.tenant, version.version);
    return Status(Code::already_exists, "version " + version.version.text() + " is there with other content");
  }

  Status check_parent(const wire::VersionRecord& version) {
    if (!version.parent.is_nil() && version.parent == version.version) return invalid_argument("the version itself");
    if (version.parent.is_nil() || has_version(version.parent)) return {};
    return records_.versions.get(request_.tenant, request_.model, version.parent).status();
  }

  Result<wire::ReleaseReply> write() {
    TagMovements movements(batch_, request_.tenant, request_.model, request_.tag);
    search::CommitIndex index(request_.tenant, request_.model, batch_.epoch());
    Versions::Writer writer(batch_, request_.tenant, request_.model);
    wire::TagEntry entry;
    entry.release = request_.release;
    for (std::size_t i = 0; i < versions_.size(); ++i) {
      wire::VersionRecord& version = *versions_[i];
      entry.version = version.version;
      entry.artefact = version.artefact;
      entry.artefact_bytes = version.artefact_bytes;
      movements.add(components_[i], entry);
      if (is_known_[i]) continue;
      version.release = request_.release;
      version.principal = principal_.name();
      version.created_us = batch_.time_us();
      version.epoch = batch_.epoch();
      writer.put(components_[i], version);
      index.add(components_[i], version);
    }
    index.write(batch_);
    if (request_.replace) RETURN_IF_ERROR(unset_others(movements));
    if (wire::encode(model_) != model_before_) {
      Models::put(batch_, model_);
      batch_.put(keys::spec(request_.tenant, spec_hash_), model_.spec_json);
    }
    wire::ReleaseRecord release;
    release.release = request_.release;
    release.tag = request_.tag;
    release.principal = principal_.name();
    release.run_json = request_.run_json;
    return finish_release(records_, model_, std::move(release), movements, batch_);
  }

  Status unset_others(TagMovements& movements) {
    wire::TagEntry unset;
    unset.kind = wire::EntryKind::unset;
    unset.release = request_.release;
    return records_.tags.each(keys::tag_prefix(request_.tenant, request_.model, request_.tag), now_, {}, {},
                              [&](std::string_view components, const wire::TagEntry&) {
                                if (!has_node(components)) movements.add(components, unset);
                                return true;
                              });
  }

  Records& records_;
  const Principal& principal_;
  const wire::PublishRequest& request_;
  Batch& batch_;
  const std::uint64_t now_;  ///< epoch that the release follows

  model::Spec spec_;
  Hash256 spec_hash_;
  wire::ModelRecord model_;
  std::string model_before_;  ///< encoded; empty: the release makes the model
  std::unordered_map<std::string, model::FieldType> field_types_;
  std::string checked_lineage_;

  std::vector<std::vector<wire::VersionRecord>> decoded_;  ///< by body
  std::vector<wire::VersionRecord*> versions_;             ///< all of them
  std::string all_components_;
  std::vector<std::string_view> components_;  ///< of versions_' partitions
  std::vector<bool> is_known_;                ///< whether versions_[i] is there already
  std::vector<Found> artefacts_;              ///< that versions_[i] names
  std::map<std::string, bool> inputs_;
  bool any_may_be_known_ = true;
  std::optional<PlaceSet> nodes_, uuids_;  ///< of versions_ that are checked
  std::vector<search::NamedNumber> numbers_;
};

}  // namespace

Result<wire::ReleaseReply> prepare_publish(Records& records, const Principal& principal,
                                           const wire::PublishRequest& request,
                                           const std::vector<std::string_view>& bodies, Batch& batch) {
  return Publish(records, principal, request, batch).prepare(bodies);
}

Result<wire::ReleaseReply> finish_release(Records& records, const wire::ModelRecord& model, wire::ReleaseRecord release,
                                          TagMovements& movements, Batch& batch) {
  return finish_releases(records, model, {std::move(release)}, movements, batch);
}

Result<wire::ReleaseReply> finish_releases(Records& records, const wire::ModelRecord& model,
                                           std::vector<wire::ReleaseRecord> releases, TagMovements& movements,
                                           Batch& batch) {
  RETURN_IF_ERROR(movements.refused());
  movements.finish();
  search::CommitIndex index(model.tenant, model.model, batch.epoch());
  wire::Change change;
  for (std::size_t i = 0; i < releases.size(); ++i) {
    wire::ReleaseRecord& release = releases[i];
    release.epoch = batch.epoch();
    release.time_us = batch.time_us();
    release.moved = movements.counts().at(i);
    Releases::put(batch, model.tenant, model.model, release);
    index.add(release);
    if (i > 0) change.more.push_back({release.tag, release.release, release.moved});
  }
  index.write(batch);
  const wire::ReleaseRecord& first = releases.front();
  change.kind = wire::ChangeKind::release;
  change.tenant = model.tenant;
  change.model = model.model;
  change.levels = static_cast<std::uint32_t>(model.levels.size());
  change.tag = first.tag;
  change.release = first.release;
  change.count = first.moved;
  RETURN_IF_ERROR(records.feed.put(batch, std::move(change)));
  wire::ReleaseReply reply;
  reply.generation = records.store.generation();
  reply.epoch = batch.epoch();
  reply.release = first.release;
  reply.moved = first.moved;
  return reply;
}

Status add_tag(wire::ModelRecord& model, const std::string& tag) {
  const auto at = std::ranges::lower_bound(model.tags, tag);
  if (at != model.tags.end() && *at == tag) return {};
  if (model.tags.size() >= kMaxTags) {
    return Status(Code::resource_exhausted,
                  "tag " + tag + ": the model has " + std::to_string(kMaxTags) + " tags, as many as it may have");
  }
  model.tags.insert(at, tag);
  return {};
}

Status check_names(std::string_view tenant, std::string_view model, std::string_view tag) {
  RETURN_IF_ERROR(model::check_name("tenant", tenant));
  RETURN_IF_ERROR(model::check_name("model", model));
  return model::check_name("tag", tag);
}

Status check_partition(const std::vector<std::string>& partition, std::size_t levels) {
  ASSIGN_OR_RETURN(const model::Partition checked, model::Partition::from_values(partition));
  if (checked.depth() != partition.size()) return invalid_argument("partition: ends in an empty value");
  if (partition.size() > levels) {
    return invalid_argument("partition: " + std::to_string(partition.size()) + " values, the model has " +
                            std::to_string(levels) + " levels");
  }
  return {};
}

Status check_text(std::string_view what, std::string_view text, std::size_t most, bool json) {
  if (text.size() > most) {
    return invalid_argument(std::string(what) + ": " + std::to_string(text.size()) + " bytes, at most " +
                            std::to_string(most) + " are allowed");
  }
  if (!json || text.empty()) return {};
  if (json_depth(text) > kMaxJsonDepth) return invalid_argument(std::string(what) + ": nested too deep");
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{' || !nlohmann::json::accept(text)) {
    return invalid_argument(std::string(what) + ": a JSON object is needed");
  }
  return {};
}

}  // namespace espalier::registry
