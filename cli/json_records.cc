#include "cli/json_records.h"

#include "cli/output.h"

namespace espalier::cli {

using nlohmann::json;

void print_json(const json& document) { print_line(document.dump(-1, ' ', false, json::error_handler_t::replace)); }

json embedded_json(const std::string& text) {
  if (text.empty()) return nullptr;
  json parsed = json::parse(text, nullptr, false);
  return parsed.is_discarded() ? json(text) : parsed;
}

json uuid_json(const Uuid& uuid) { return uuid.is_nil() ? json(nullptr) : json(uuid.text()); }

std::string_view entry_kind_name(wire::EntryKind kind) {
  switch (kind) {
    case wire::EntryKind::version: return "version";
    case wire::EntryKind::removed: return "removed";
    case wire::EntryKind::unset: return "unset";
  }
  return "unknown";
}

json version_json(const wire::VersionRecord& version) {
  return {{"partition", version.partition},
          {"version", version.version.text()},
          {"artefact", version.artefact.hex()},
          {"artefact_bytes", version.artefact_bytes},
          {"base", version.base.is_none() ? json(nullptr) : json(version.base.hex())},
          {"spec", version.spec.hex()},
          {"release", uuid_json(version.release)},
          {"parent", uuid_json(version.parent)},
          {"rows", version.rows},
          {"metrics", embedded_json(version.metrics_json)},
          {"lineage", embedded_json(version.lineage_json)},
          {"description", version.description},
          {"properties", version.properties},
          {"principal", version.principal},
          {"created_us", version.created_us},
          {"epoch", version.epoch},
          {"collected_us", version.collected_us}};
}

json entry_json(const wire::TagEntry& entry) {
  return {{"partition", entry.partition},
          {"kind", entry_kind_name(entry.kind)},
          {"version", uuid_json(entry.version)},
          {"artefact", entry.artefact.hex()},
          {"artefact_bytes", entry.artefact_bytes},
          {"release", uuid_json(entry.release)},
          {"epoch", entry.epoch}};
}

json release_json(const wire::ReleaseRecord& release) {
  return {{"release", release.release.text()},
          {"epoch", release.epoch},
          {"time_us", release.time_us},
          {"tag", release.tag},
          {"principal", release.principal},
          {"note", release.note},
          {"moved", release.moved},
          {"run", embedded_json(release.run_json)}};
}

json run_json(const wire::RunRecord& run) {
  json metrics = json::object(), files = json::array();
  for (const auto& [name, metric] : run.metrics) {
    metrics[name] = {
        {"value", metric.value}, {"step", metric.step}, {"time_us", metric.time_us}, {"count", metric.count}};
  }
  for (const auto& file : run.files) {
    files.push_back({{"name", file.name}, {"hash", file.hash.hex()}, {"bytes", file.bytes}, {"time_us", file.time_us}});
  }
  const auto hash = [](const Hash256& of) { return of.is_none() ? json(nullptr) : json(of.hex()); };
  return {{"run", run.run.text()},
          {"tenant", run.tenant},
          {"model", run.model},
          {"name", run.name},
          {"description", run.description},
          {"properties", run.properties},
          {"params", run.params_json.empty() ? json::object() : embedded_json(run.params_json)},
          {"spec", hash(run.spec)},
          {"dataset", hash(run.dataset)},
          {"principal", run.principal},
          {"created_us", run.created_us},
          {"epoch", run.epoch},
          {"status", wire::run_status_name(run.status)},
          {"ended_us", run.ended_us == 0 ? json(nullptr) : json(run.ended_us)},
          {"message", run.message},
          {"metrics", std::move(metrics)},
          {"files", std::move(files)}};
}

json dataset_json(const wire::DatasetRecord& dataset) {
  json columns = json::array();
  for (const auto& column : dataset.columns) {
    json of = {{"name", column.name}, {"count", column.count}, {"missing", column.missing}};
    if (column.type == model::FieldType::number) {
      of.update({{"type", "number"}, {"min", column.min}, {"max", column.max}, {"mean", column.mean}});
    } else {
      json top = json::array();
      for (const auto& value : column.top) top.push_back({{"value", value.value}, {"count", value.count}});
      of.update({{"type", "text"}, {"distinct", column.distinct}, {"top", std::move(top)}});
      if (!column.first.empty()) of.update({{"first", column.first}, {"last", column.last}});
    }
    columns.push_back(std::move(of));
  }
  return {{"dataset", dataset.dataset.hex()},
          {"tenant", dataset.tenant},
          {"source", dataset.source},
          {"where", dataset.where},
          {"file", dataset.file.is_none() ? json(nullptr) : json(dataset.file.hex())},
          {"rows", dataset.rows},
          {"first", dataset.first},
          {"last", dataset.last},
          {"columns", std::move(columns)},
          {"properties", dataset.properties},
          {"principal", dataset.principal},
          {"created_us", dataset.created_us},
          {"epoch", dataset.epoch}};
}

json provenance_json(const wire::Provenance& provenance) {
  return {{"asked", provenance.asked},
          {"served", provenance.served},
          {"level", provenance.level},
          {"reason", wire::reason_name(provenance.reason)},
          {"version", uuid_json(provenance.version)},
          {"tag", provenance.tag},
          {"release", uuid_json(provenance.release)},
          {"release_epoch", provenance.release_epoch},
          {"arm", provenance.arm},
          {"exposed", provenance.exposed},
          {"epoch", provenance.epoch},
          {"shard", provenance.shard},
          {"prediction", uuid_json(provenance.prediction)},
          {"attempt", provenance.attempt}};
}

std::string metrics_text(const std::string& metrics_json) {
  const json metrics = embedded_json(metrics_json);
  std::string text;
  if (metrics.is_object()) {
    for (const auto& [name, value] : metrics.items())
      if (value.is_number()) text += (text.empty() ? "" : ", ") + name + " " + number_text(value.get<double>());
  }
  return text.empty() ? "-" : text;
}

}  // namespace espalier::cli
