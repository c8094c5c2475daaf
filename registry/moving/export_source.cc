#include "registry/moving/export_source.h"

#include "common/bytes.h"
#include "model/ids.h"
#include "registry/keys.h"
#include "registry/moving/imports.h"
#include "registry/reading.h"
#include "registry/records/runs.h"
#include "registry/upkeep/key_parts.h"
#include "wire/dataset_messages.h"
#include "wire/run_messages.h"

namespace espalier::registry {
namespace {

using keys::Table;

template <class Record>
Result<Record> decoded(std::string_view key, std::string_view value) {
  auto record = wire::decode<Record>(value);
  if (!record.ok()) return bad_record(key, record.status());
  return record;
}

}  // namespace

// In the order of the archive's keys. A table that comes along goes into both halves: its commits are seen, its records
// given out.
const std::vector<ExportSource::Stage>& ExportSource::stages() {
  static const std::vector<Stage> stages = {
      {'M', &ExportSource::see_state},    {0, &ExportSource::end_states},    {'U', &ExportSource::see_run},
      {0, &ExportSource::end_models},     {'H', &ExportSource::see_history}, {'K', &ExportSource::see_dated},
      {'R', &ExportSource::see_release},  {0, &ExportSource::see_run_part},  {'V', &ExportSource::see_version},
      {0, &ExportSource::give_time},      {'K', &ExportSource::give_rule},   {'M', &ExportSource::give_state},
      {0, &ExportSource::give_dataset},   {0, &ExportSource::give_file},     {0, &ExportSource::give_run_part},
      {'R', &ExportSource::give_release}, {'T', &ExportSource::give_entry},  {'U', &ExportSource::give_run},
      {'V', &ExportSource::give_version}, {0, &ExportSource::give_artefact},
  };
  return stages;
}

Result<std::unique_ptr<ExportSource>> ExportSource::start(Records& records, const Clock& clock, ExportScope scope) {
  std::unique_ptr<ExportSource> source(new ExportSource(records, clock, std::move(scope)));
  RETURN_IF_ERROR(source->fill_head());
  source->head_.kind = upkeep::ArchiveKind::histories;
  if (source->scope_.until != 0) source->head_.epoch = std::min(source->head_.epoch, source->scope_.until);
  // Whether there is any such model end_models() finds out.
  ASSIGN_OR_RETURN(const auto erased, records.erased.find(source->scope_.tenant));
  if (erased) return source->nothing_there();
  // Nothing is committed between the two: they are one snapshot.
  ASSIGN_OR_RETURN(source->cursor_, records.store.scan_verified());
  ASSIGN_OR_RETURN(source->lookup_, records.store.scan_verified());
  return source;
}

std::string ExportSource::range(char table) const {
  const auto of = static_cast<Table>(table);
  return scope_.model.empty() ? keys::of_tenant(of, scope_.tenant) : keys::of_model(of, scope_.tenant, scope_.model);
}

Result<std::optional<std::string>> ExportSource::get(const std::string& key) {
  lookup_->seek(key);
  RETURN_IF_ERROR(lookup_->status());
  if (!lookup_->valid() || lookup_->key() != key) return std::optional<std::string>();
  return std::optional<std::string>(lookup_->value());
}

Status ExportSource::take_one(Blocks& blocks) {
  const Stage& stage = stages()[place_];
  const auto next_stage = [&] {
    ++place_;
    is_begun_ = is_over_ = false;
    if (is_done()) cursor_.reset(), lookup_.reset();
  };
  if (stage.table == 0) {
    RETURN_IF_ERROR((this->*stage.record)({}, {}, blocks));
    if (is_over_) next_stage();
    return {};
  }
  const std::string prefix = range(stage.table);
  is_begun_ ? cursor_->next() : cursor_->seek(prefix);
  is_begun_ = true;
  RETURN_IF_ERROR(cursor_->status());
  if (cursor_->valid() && cursor_->key().starts_with(prefix)) {
    return (this->*stage.record)(cursor_->key(), cursor_->value(), blocks);
  }
  next_stage();
  return {};
}

ExportSource::Commits* ExportSource::find(const std::string& model) {
  const auto at = models_.find(model);
  return at == models_.end() ? nullptr : &at->second;
}

Result<std::uint64_t> ExportSource::number(const std::string& model, std::uint64_t epoch, std::string_view key) {
  const Commits* const commits = find(model);
  if (commits == nullptr || epoch > head_.epoch) return std::uint64_t{0};
  const auto at = commits->numbers.find(epoch);
  if (at != commits->numbers.end()) return at->second;
  return corrupt("a record of table " + std::string(key.substr(0, 1)) + " is of epoch " + std::to_string(epoch) +
                 ", of which " + scope_.tenant + "/" + model + " has no release; check first");
}

// ---------------------------------------------------------------------------------------------------- what there is

// Newest first: a state that the next, older one says too is no change. So are those that an import wrote a second
// time.
Status ExportSource::see_state(std::string_view key, std::string_view value, Blocks& blocks) {
  ASSIGN_OR_RETURN(auto parts, upkeep::model_parts(key));
  if (parts.epoch > head_.epoch || value.empty()) return {};
  ASSIGN_OR_RETURN(const bool hidden, is_hidden(parts.model, parts.epoch));
  if (hidden) return {};
  if (parts.model != last_model_ || value != last_value_) {
    RETURN_IF_ERROR(end_states({}, {}, blocks));
    last_model_ = parts.model;
    last_value_ = value;
  }
  last_epoch_ = parts.epoch;
  return {};
}

Status ExportSource::end_states(std::string_view, std::string_view, Blocks&) {
  if (!last_model_.empty()) {
    Commits& commits = models_[last_model_];
    commits.states.insert(last_epoch_);
    commits.numbers.emplace(last_epoch_, 0);
  }
  is_over_ = stages()[place_].table == 0;
  return {};
}

Status ExportSource::nothing_there() const {
  return not_found(scope_.model.empty() ? "tenant " + scope_.tenant : "model " + scope_.tenant + "/" + scope_.model);
}

Result<bool> ExportSource::is_hidden(const std::string& model, std::uint64_t began) {
  if (model != imported_model_) {
    const std::string key = keys::import_record(scope_.tenant, model);
    ASSIGN_OR_RETURN(const auto value, get(key));
    imported_.reset();
    if (value) {
      ASSIGN_OR_RETURN(imported_, decoded<wire::ImportRecord>(key, *value));
    }
    imported_model_ = model;
  }
  return imported_ && Imports::hides(*imported_, began, head_.epoch);
}

Status ExportSource::see_run(std::string_view key, std::string_view value, Blocks&) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::release_parts(key));  // built alike
  if (parts.epoch > head_.epoch) return {};
  ASSIGN_OR_RETURN(const bool hidden, is_hidden(parts.model, parts.epoch));
  if (hidden) return {};
  const auto model = models_.try_emplace(parts.model).first;
  model->second.numbers.emplace(parts.epoch, 0);
  runs_.emplace(parts.release, &model->first);
  if (scope_.model.empty()) return {};
  ASSIGN_OR_RETURN(const auto run, decoded<wire::RunRecord>(key, value));
  datasets_.see(run.dataset);
  return {};
}

Status ExportSource::end_models(std::string_view, std::string_view, Blocks&) {
  if (models_.empty()) return nothing_there();
  numbered_ = models_.begin();
  run_ = runs_.begin();
  is_over_ = true;
  return {};
}

Result<bool> ExportSource::next_run_part() {
  is_over_ = run_ == runs_.end();
  if (is_over_) {
    run_ = runs_.begin();  // for the next stage
    return false;
  }
  const std::string prefix = keys::of_tenant(Table::run_part, scope_.tenant).append(run_->first.view());
  is_in_run_ ? cursor_->next() : cursor_->seek(prefix);
  RETURN_IF_ERROR(cursor_->status());
  is_in_run_ = cursor_->valid() && cursor_->key().starts_with(prefix);
  if (!is_in_run_) ++run_;
  return is_in_run_;
}

/// The last of each metric follows from the points.
Status ExportSource::see_run_part(std::string_view, std::string_view, Blocks&) {
  ASSIGN_OR_RETURN(const bool is_one, next_run_part());
  if (!is_one) return {};
  ASSIGN_OR_RETURN(const auto parts, upkeep::run_parts(cursor_->key()));
  if (parts.epoch > head_.epoch || parts.part == static_cast<char>(keys::RunPart::last)) return {};
  find(*run_->second)->numbers.emplace(parts.epoch, 0);
  if (parts.part != static_cast<char>(keys::RunPart::state)) return {};
  ASSIGN_OR_RETURN(const auto state, decoded<wire::RunState>(cursor_->key(), cursor_->value()));
  for (const wire::RunFile& file : state.files) files_.insert(file.hash);
  return {};
}

/// Of a tenant all datasets are given out.
Status ExportSource::see_version(std::string_view key, std::string_view value, Blocks&) {
  if (scope_.model.empty()) return {};
  ASSIGN_OR_RETURN(const auto parts, upkeep::version_parts(key));
  if (find(parts.model) == nullptr || parts.epoch > head_.epoch) return {};
  ASSIGN_OR_RETURN(const auto version, decoded<wire::VersionRecord>(key, value));
  datasets_.see_lineage(version.lineage_json);
  return {};
}

Status ExportSource::see_history(std::string_view key, std::string_view value, Blocks&) {
  ASSIGN_OR_RETURN(const auto names, upkeep::split_names(key, 2));
  if (names.rest.size() != 8 || value.size() != 8) return corrupt("a record of table H has another size");
  Commits* const commits = find(names.names[1]);
  if (commits == nullptr) return {};
  commits->imported_us.emplace(load<std::uint64_t>(value.data()),
                               static_cast<std::int64_t>(load_u64_be(names.rest.data())));
  return {};
}

Status ExportSource::see_dated(std::string_view key, std::string_view, Blocks&) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::model_parts(key));
  Commits* const commits = find(parts.model);
  if (commits != nullptr && parts.epoch <= head_.epoch) commits->numbers.emplace(parts.epoch, 0);
  return {};
}

Status ExportSource::see_release(std::string_view key, std::string_view, Blocks&) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::release_parts(key));
  Commits* const commits = find(parts.model);
  if (commits != nullptr && parts.epoch <= head_.epoch) commits->numbers.emplace(parts.epoch, 0);
  return {};
}

// ------------------------------------------------------------------------------------------------ what is given out

/// Numbers the next commit of a model.
Status ExportSource::give_time(std::string_view, std::string_view, Blocks& blocks) {
  is_over_ = numbered_ == models_.end();
  if (is_over_) return {};
  auto& [model, commits] = *numbered_;
  if (next_number_ == 1) commit_ = commits.numbers.begin();
  if (commit_ == commits.numbers.end()) {
    ++numbered_;
    next_number_ = 1;
    return {};
  }
  const std::uint64_t epoch = commit_->first;
  std::int64_t time_us = 0;
  if (const auto at = commits.imported_us.find(epoch); at != commits.imported_us.end()) {
    time_us = at->second;
  } else {
    ASSIGN_OR_RETURN(const auto time, get(keys::epoch(epoch)));
    if (!time || time->size() != sizeof time_us) return corrupt("epoch " + std::to_string(epoch) + " has no time");
    time_us = load<std::int64_t>(time->data());
  }
  std::string number;
  append(number, next_number_);
  add_record(blocks, keys::history(scope_.tenant, model, time_us), number);
  commit_->second = next_number_++;
  ++commit_;
  return {};
}

Status ExportSource::give_rule(std::string_view key, std::string_view value, Blocks& blocks) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::model_parts(key));
  ASSIGN_OR_RETURN(const std::uint64_t commit, number(parts.model, parts.epoch, key));
  if (commit == 0) return {};
  ASSIGN_OR_RETURN(auto rule, decoded<wire::RetentionRule>(key, value));
  rule.epoch = commit;
  add_record(blocks, keys::retention(parts.tenant, parts.model, commit), wire::encode(rule));
  return {};
}

Status ExportSource::give_state(std::string_view key, std::string_view value, Blocks& blocks) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::model_parts(key));
  const Commits* const commits = find(parts.model);
  if (commits == nullptr || !commits->states.contains(parts.epoch)) return {};
  ASSIGN_OR_RETURN(const std::uint64_t commit, number(parts.model, parts.epoch, key));
  add_record(blocks, keys::model(parts.tenant, parts.model, commit), value);
  return {};
}

Status ExportSource::give_release(std::string_view key, std::string_view value, Blocks& blocks) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::release_parts(key));
  ASSIGN_OR_RETURN(const std::uint64_t commit, number(parts.model, parts.epoch, key));
  if (commit == 0) return {};
  ASSIGN_OR_RETURN(auto release, decoded<wire::ReleaseRecord>(key, value));
  release.epoch = commit;
  add_record(blocks, keys::release(parts.tenant, parts.model, commit, parts.release), wire::encode(release));
  return {};
}

Status ExportSource::give_entry(std::string_view key, std::string_view value, Blocks& blocks) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::tag_parts(key));
  ASSIGN_OR_RETURN(const std::uint64_t commit, number(parts.model, parts.epoch, key));
  if (commit == 0) return {};
  const std::string prefix = keys::tag_prefix(parts.tenant, parts.model, parts.tag);
  add_record(blocks, keys::node_at(prefix, parts.components, commit), value);
  return {};
}

Status ExportSource::give_version(std::string_view key, std::string_view value, Blocks& blocks) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::version_parts(key));
  ASSIGN_OR_RETURN(const std::uint64_t commit, number(parts.model, parts.epoch, key));
  if (commit == 0) return {};
  ASSIGN_OR_RETURN(auto version, decoded<wire::VersionRecord>(key, value));
  version.epoch = commit;
  ASSIGN_OR_RETURN(const auto collected, get(keys::collected(parts.tenant, parts.version)));
  if (collected) {
    if (collected->size() < 8) return corrupt("a record of table D has another size than 24 bytes");
    version.collected_us = load<std::int64_t>(collected->data());
  } else {
    want(version.artefact);
    want(version.base);
  }
  const std::string prefix = keys::versions_prefix(parts.tenant, parts.model);
  add_record(blocks, keys::version_at(prefix, parts.components, commit, parts.version), wire::encode(version));
  return {};
}

/// Its newest record, whatever `until` says: what it is of never changes.
Status ExportSource::give_dataset(std::string_view, std::string_view, Blocks& blocks) {
  const std::string all = keys::of_tenant(Table::dataset, scope_.tenant);
  std::string from = next_dataset_.empty() ? all : next_dataset_;
  std::string within = all;
  if (!scope_.model.empty()) {
    const auto named = next_dataset_.empty()
                           ? datasets_.all().begin()
                           : datasets_.all().upper_bound(*Hash256::from_bytes(std::string_view(next_dataset_)));
    is_over_ = named == datasets_.all().end();
    if (is_over_) return {};
    from = within = keys::dataset(scope_.tenant, *named);
    next_dataset_ = named->view();
  }
  cursor_->seek(from);
  RETURN_IF_ERROR(cursor_->status());
  const bool is_one = cursor_->valid() && cursor_->key().starts_with(within);
  if (!is_one) {
    is_over_ = scope_.model.empty();
    return {};
  }
  ASSIGN_OR_RETURN(const auto parts, upkeep::dataset_parts(cursor_->key()));
  if (scope_.model.empty()) next_dataset_ = keys::behind(keys::dataset(scope_.tenant, parts.dataset));
  ASSIGN_OR_RETURN(auto record, decoded<wire::DatasetRecord>(cursor_->key(), cursor_->value()));
  record.epoch = 1;
  std::string key = keys::dataset(scope_.tenant, parts.dataset);
  append_u64_be(key, ~std::uint64_t{1});
  add_record(blocks, key, wire::encode(record));
  return {};
}

Status ExportSource::give_file(std::string_view, std::string_view, Blocks& blocks) {
  is_over_ = scope_.records_only || files_.empty();
  if (is_over_) return {};
  const std::string key = keys::run_file(scope_.tenant, *files_.begin());
  ASSIGN_OR_RETURN(const auto content, get(key));
  if (!content)
    return corrupt("file " + files_.begin()->hex() + " of tenant " + scope_.tenant + " is missing; check first");
  files_.erase(files_.begin());
  add_record(blocks, key, *content);
  return {};
}

Status ExportSource::give_run(std::string_view key, std::string_view value, Blocks& blocks) {
  ASSIGN_OR_RETURN(const auto parts, upkeep::release_parts(key));
  if (!runs_.contains(parts.release)) return {};
  ASSIGN_OR_RETURN(const std::uint64_t commit, number(parts.model, parts.epoch, key));
  ASSIGN_OR_RETURN(auto run, decoded<wire::RunRecord>(key, value));
  run.epoch = commit;
  add_record(blocks,
             keys::of_model(Table::run, parts.tenant, parts.model).append(keys::run_place(commit, parts.release)),
             wire::encode(run));
  return {};
}

Status ExportSource::give_run_part(std::string_view, std::string_view, Blocks& blocks) {
  ASSIGN_OR_RETURN(const bool is_one, next_run_part());
  if (!is_one) return {};
  const std::string_view key = cursor_->key();
  ASSIGN_OR_RETURN(const auto parts, upkeep::run_parts(key));
  if (parts.part == static_cast<char>(keys::RunPart::last)) return {};
  ASSIGN_OR_RETURN(const std::uint64_t commit, number(*run_->second, parts.epoch, key));
  if (commit == 0) return {};
  if (parts.part == static_cast<char>(keys::RunPart::state)) {
    add_record(blocks, keys::run_part_at(scope_.tenant, parts.run, keys::RunPart::state, commit), cursor_->value());
    return {};
  }
  ASSIGN_OR_RETURN(const auto at, run_point_of(parts.tail, cursor_->value()));
  const std::string points = keys::run_part(scope_.tenant, parts.run, keys::RunPart::points);
  add_record(blocks, keys::run_point(points, at.point.name, at.point.step, commit, at.number), cursor_->value());
  return {};
}

void ExportSource::want(const Hash256& artefact) {
  if (!scope_.records_only && !artefact.is_none() && wanted_.insert(artefact).second) to_give_.push_back(artefact);
}

/// And what it stands on.
Status ExportSource::give_artefact(std::string_view, std::string_view, Blocks& blocks) {
  is_over_ = to_give_.empty();
  if (is_over_) return {};
  const Hash256 hash = to_give_.back();
  to_give_.pop_back();
  ASSIGN_OR_RETURN(const auto value, get(keys::artefact(scope_.tenant, hash)));
  if (!value) return corrupt("artefact " + hash.hex() + " of tenant " + scope_.tenant + " is missing; check first");
  ASSIGN_OR_RETURN(const ArtefactRecord record, decode_artefact(*value));
  want(record.base);
  return add_artefact(blocks, scope_.tenant, hash);
}

}  // namespace espalier::registry
