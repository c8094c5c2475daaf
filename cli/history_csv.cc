#include "cli/history_csv.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "common/files.h"
#include "common/utc.h"
#include "data/reader.h"
#include "model/ids.h"
#include "model/properties.h"
#include "model/spec.h"
#include "registry/artefacts.h"
#include "registry/keys.h"
#include "registry/models.h"
#include "registry/tags.h"

namespace espalier::cli {
namespace {

using nlohmann::json;
namespace keys = registry::keys;

/// What a column says of its row's version.
enum class Role {
  level,
  partition,
  created,
  version,
  rows,
  description,
  principal,
  run,
  file,
  tag,
  metric,
  param,
  property
};
struct ColumnRole {
  Role role;
  std::string name;       ///< metric, param, property
  std::size_t level = 0;  ///< level
};

struct Row {
  std::uint64_t line = 0;
  wire::VersionRecord version;
  std::string tag;
  json metrics = json::object(), params = json::object();
  std::string run;
};

class HistoryCsv {
 public:
  explicit HistoryCsv(const HistoryCsvOptions& options, std::int64_t now_us) : options_(options), now_us_(now_us) {}

  Result<Incoming> read() {
    RETURN_IF_ERROR(read_spec());
    RETURN_IF_ERROR(read_rows());
    RETURN_IF_ERROR(check_bases());
    RETURN_IF_ERROR(make_records());
    return give();
  }

 private:
  Status at_line(std::uint64_t line, const std::string& column, const std::string& what) const {
    return invalid_argument(options_.file + ":" + std::to_string(line) + ": " +
                            (column.empty() ? "" : "column " + column + ": ") + what);
  }

  Status read_spec() {
    ASSIGN_OR_RETURN(const std::string text, Files::system().read(options_.spec));
    ASSIGN_OR_RETURN(spec_, model::Spec::parse_toml(text, options_.spec));
    if (spec_.model == options_.model) return {};
    return invalid_argument(options_.spec + ": is the spec of model " + spec_.model + ", not of " + options_.model);
  }

  Result<ColumnRole> role_of(const std::string& name) const {
    static const std::map<std::string, Role> kRoles = {{"partition", Role::partition},
                                                       {"created", Role::created},
                                                       {"version", Role::version},
                                                       {"rows", Role::rows},
                                                       {"description", Role::description},
                                                       {"principal", Role::principal},
                                                       {"run", Role::run},
                                                       {"file", Role::file},
                                                       {"tag", Role::tag}};
    static const std::map<std::string, Role> kFamilies = {
        {"metrics", Role::metric}, {"params", Role::param}, {"properties", Role::property}};
    const auto level = std::ranges::find(spec_.levels, name);
    if (level != spec_.levels.end()) {
      return ColumnRole{Role::level, name, static_cast<std::size_t>(level - spec_.levels.begin())};
    }
    if (const auto at = kRoles.find(name); at != kRoles.end()) return ColumnRole{at->second, name};
    const std::size_t dot = name.find('.');
    const auto family = kFamilies.find(name.substr(0, dot));
    if (dot != std::string::npos && dot + 1 < name.size() && family != kFamilies.end()) {
      return ColumnRole{family->second, name.substr(dot + 1)};
    }
    std::string levels;
    for (const auto& known : spec_.levels) levels += known + ", ";
    return at_line(1, name,
                   "not one of a history's: " + levels +
                       "partition, created, version, rows, description, principal, run, file, tag, metrics.NAME, "
                       "params.NAME, properties.KEY");
  }

  Status read_rows() {
    ASSIGN_OR_RETURN(const auto reader, data::Reader::open(options_.file));
    std::vector<model::Field> fields;
    std::set<Role> roles;
    for (const std::string& name : reader->columns()) {
      ASSIGN_OR_RETURN(ColumnRole role, role_of(name));
      roles.insert(role.role);
      columns_.push_back(std::move(role));
      fields.push_back({name, model::FieldType::text});
    }
    if (!roles.contains(Role::created)) return at_line(1, "", "a column created is needed");
    if (roles.contains(Role::level) && roles.contains(Role::partition)) {
      return at_line(1, "partition", "not together with columns of levels");
    }
    RETURN_IF_ERROR(reader->select(fields));
    data::Frame frame(fields);
    for (;;) {
      ASSIGN_OR_RETURN(const std::size_t rows, reader->read(frame, 1024));
      if (rows == 0) break;
      for (std::size_t row = 0; row < rows; ++row) RETURN_IF_ERROR(take_row(frame, row));
      frame.clear();
    }
    return rows_.empty() ? at_line(1, "", "no rows") : Status();
  }

  Status take_row(const data::Frame& frame, std::size_t row) {
    Row taken;
    taken.line = frame.line(row);
    taken.tag = options_.tag;
    std::vector<std::string> levels(spec_.levels.size());
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string text(frame.columns()[i].texts[row]);
      const Status status = columns_[i].role == Role::level ? Status() : take_cell(columns_[i], text, taken);
      if (!status.ok()) return at_line(taken.line, frame.columns()[i].field.name, status.message());
      if (columns_[i].role == Role::level) levels[columns_[i].level] = text;
    }
    while (!levels.empty() && levels.back().empty()) levels.pop_back();
    if (!levels.empty()) taken.version.partition = std::move(levels);
    return finish_row(std::move(taken));
  }

  Status take_cell(const ColumnRole& column, const std::string& text, Row& row) {
    wire::VersionRecord& version = row.version;
    if (text.empty()) return column.role == Role::created ? invalid_argument("empty") : Status();
    switch (column.role) {
      case Role::level: return {};
      case Role::partition: {
        ASSIGN_OR_RETURN(const auto partition, model::Partition::parse(text));
        version.partition = partition.values();
        return {};
      }
      case Role::created: return take_time(text, version);
      case Role::version: {
        ASSIGN_OR_RETURN(version.version, Uuid::parse(text));
        return version.version.is_nil() ? invalid_argument("a UUID that is not nil is needed") : Status();
      }
      case Role::rows: {
        const auto number = data::parse_number(text);
        if (!number || *number < 0 || *number > 9e15 || *number != std::floor(*number)) {
          return invalid_argument("'" + text + "' is no count");
        }
        version.rows = static_cast<std::uint64_t>(*number);
        return {};
      }
      case Role::description: version.description = text; return model::check_description(text);
      case Role::principal: version.principal = text; return {};
      case Role::run: row.run = text; return {};
      case Role::file: return take_file(text, version);
      case Role::tag: row.tag = text; return model::check_name("tag", text);
      case Role::metric: {
        const auto number = data::parse_number(text);
        if (!number) return invalid_argument("'" + text + "' is not a finite number");
        row.metrics[column.name] = *number;
        return {};
      }
      case Role::param: {
        const auto number = data::parse_number(text);
        row.params[column.name] = number ? json(*number) : json(text);
        return {};
      }
      case Role::property: version.properties[column.name] = text; return model::check_properties(version.properties);
    }
    return {};
  }

  Status take_time(const std::string& text, wire::VersionRecord& version) const {
    const auto time = parse_utc(text);
    if (!time || *time == 0) {
      return invalid_argument("'" + text + "' is no time in UTC such as 2026-11-17 14:03:30");
    }
    if (*time >= now_us_) return invalid_argument("'" + text + "' is yet to come");
    version.created_us = *time;
    return {};
  }

  /// Paths are as seen from the table.
  Status take_file(const std::string& text, wire::VersionRecord& version) {
    const std::string path = std::filesystem::path(options_.file).parent_path() / text;
    ASSIGN_OR_RETURN(const std::string bytes, Files::system().read(path));
    const auto artefact = registry::examine_artefact(bytes, true);
    if (!artefact.ok()) return artefact.status().at(path);
    if (artefact->task != spec_.task) {
      return invalid_argument(path + ": of task " + std::string(model::task_name(artefact->task)) + ", the spec's is " +
                              std::string(model::task_name(spec_.task)));
    }
    ASSIGN_OR_RETURN(const auto inputs, registry::fields_of(artefact->inputs));
    ASSIGN_OR_RETURN(fields_, registry::evolve_schema(fields_, inputs));
    version.artefact = blake2b_256(bytes);
    version.artefact_bytes = bytes.size();
    version.base = artefact->base;
    files_[version.artefact] = path;
    artefact_bytes_[version.artefact] = bytes.size();
    return {};
  }

  Status finish_row(Row row) {
    wire::VersionRecord& version = row.version;
    const auto partition = model::Partition::from_values(version.partition);
    if (!partition.ok()) return at_line(row.line, "", partition.status().message());
    if (partition->depth() != version.partition.size())
      return at_line(row.line, "", "a node that ends in an empty value");
    if (version.partition.size() > spec_.levels.size()) {
      return at_line(row.line, "partition",
                     std::to_string(version.partition.size()) + " values, the spec has " +
                         std::to_string(spec_.levels.size()) + " levels");
    }
    if (version.version.is_nil()) version.version = uuid_of(version.created_us, "version " + partition->text());
    if (version.artefact.is_none()) version.collected_us = version.created_us;
    if (version.principal.empty()) version.principal = "import";
    if (!row.metrics.empty()) version.metrics_json = row.metrics.dump();
    json lineage = json::object();
    if (!row.run.empty()) lineage["run"] = row.run;
    if (!row.params.empty()) lineage["params"] = row.params;
    if (!lineage.empty()) version.lineage_json = lineage.dump();
    const auto [named, is_new] = uuids_.emplace(version.version, row.line);
    const auto [at, is_only] = commits_[version.created_us].emplace(keys::components(version.partition), row.line);
    if (!is_only) {
      return at_line(row.line, "created",
                     "a version of the same node and time is on line " + std::to_string(at->second));
    }
    if (!is_new) return at_line(row.line, "version", "is on line " + std::to_string(named->second) + " already");
    rows_.push_back(std::move(row));
    return {};
  }

  /// The same UUID for the same row each time, in the order of time as others are.
  Uuid uuid_of(std::int64_t time_us, const std::string& what) const {
    const Hash256 hash = blake2b_256("espalier import-history\n" + options_.tenant + "/" + options_.model + "\n" +
                                     std::to_string(time_us) + "\n" + what);
    Uuid uuid;
    std::copy_n(hash.bytes.begin(), uuid.bytes.size(), uuid.bytes.begin());
    const auto milliseconds = static_cast<std::uint64_t>(time_us / 1000);
    for (int i = 0; i < 6; ++i) uuid.bytes[i] = static_cast<unsigned char>(milliseconds >> (8 * (5 - i)));
    uuid.bytes[6] = static_cast<unsigned char>((uuid.bytes[6] & 0x0F) | 0x70);
    uuid.bytes[8] = static_cast<unsigned char>((uuid.bytes[8] & 0x3F) | 0x80);
    return uuid;
  }

  Status check_bases() const {
    for (const Row& row : rows_) {
      if (row.version.base.is_none() || files_.contains(row.version.base)) continue;
      return at_line(row.line, "file", "stands on artefact " + row.version.base.hex() + ", which no row names");
    }
    return {};
  }

  // Keys as in an archive: what is exported again later is the same history.
  Status make_records() {
    std::ranges::stable_sort(rows_, {}, [](const Row& row) { return row.version.created_us; });
    std::set<std::string> tags;
    for (const Row& row : rows_) tags.insert(row.tag);
    wire::ModelRecord model;
    model.tenant = options_.tenant;
    model.model = options_.model;
    model.spec_json = spec_.json();
    model.spec = spec_.hash();
    model.task = spec_.task;
    model.levels = spec_.levels;
    model.fields = fields_;
    model.schema = static_cast<std::uint32_t>(fields_.size());
    model.tags.assign(tags.begin(), tags.end());
    put(keys::model(model.tenant, model.model, 1), wire::encode(model));
    for (auto at = rows_.begin(); at != rows_.end();) {
      const auto end = std::find_if(at, rows_.end(),
                                    [&](const Row& row) { return row.version.created_us != at->version.created_us; });
      times_.push_back(at->version.created_us);
      make_commit(at, end);
      at = end;
    }
    return {};
  }

  using Rows = std::vector<Row>::iterator;
  void make_commit(Rows begin, Rows end) {
    const std::uint64_t commit = times_.size();
    std::map<std::string, wire::ReleaseRecord> releases;
    std::map<std::string, Uuid> nodes;
    for (auto row = begin; row != end; ++row)
      nodes.emplace(keys::components(row->version.partition), row->version.version);
    for (auto row = begin; row != end; ++row) {
      wire::VersionRecord& version = row->version;
      wire::ReleaseRecord& release = releases[row->tag];
      release.tag = row->tag;
      release.release = uuid_of(version.created_us, "release " + row->tag);
      release.principal = version.principal;
      release.time_us = version.created_us;
      release.epoch = version.epoch = commit;
      release.note = "from " + std::filesystem::path(options_.file).filename().string();
      if (release.run_json.empty() && !row->run.empty()) release.run_json = json{{"run", row->run}}.dump();
      version.release = release.release;
      version.spec = spec_.hash();
      version.parent = parent_of(version.partition, nodes);
      const std::string components = keys::components(version.partition);
      if (version.collected_us == 0) {
        ++release.moved;
        wire::TagEntry entry;
        entry.version = version.version;
        entry.artefact = version.artefact;
        entry.artefact_bytes = version.artefact_bytes;
        entry.release = release.release;
        const std::string tag = keys::tag_prefix(options_.tenant, options_.model, row->tag);
        put(keys::node_at(tag, components, commit), registry::encode_entry(entry));
      }
      const std::string versions = keys::versions_prefix(options_.tenant, options_.model);
      put(keys::version_at(versions, components, commit, version.version), wire::encode(version));
    }
    for (const auto& [tag, release] : releases) {
      put(keys::release(options_.tenant, options_.model, commit, release.release), wire::encode(release));
    }
  }

  /// The version of the nearest node above in the same commit.
  static Uuid parent_of(std::vector<std::string> partition, const std::map<std::string, Uuid>& nodes) {
    while (!partition.empty()) {
      partition.pop_back();
      const auto at = nodes.find(keys::components(partition));
      if (at != nodes.end()) return at->second;
    }
    return {};
  }

  void put(std::string key, std::string value) { (*records_)[std::move(key)] = std::move(value); }

  Result<Incoming> give() {
    Incoming incoming;
    incoming.file = options_.file;
    registry::History& history = incoming.histories.emplace_back();
    history.tenant = options_.tenant;
    history.model = options_.model;
    history.times = times_;
    for (const auto& [key, value] : *records_) RETURN_IF_ERROR(history.add(key, value));
    RETURN_IF_ERROR(history.sort());
    incoming.artefacts = files_.size();
    for (const auto& [hash, bytes] : artefact_bytes_) incoming.artefact_bytes += bytes;
    incoming.each_artefact = [records = records_, tenant = options_.tenant,
                              files = files_](const Incoming::TakeArtefact& take) -> Status {
      for (const auto& [hash, path] : files) {
        ASSIGN_OR_RETURN(const std::string bytes, Files::system().read(path));
        RETURN_IF_ERROR(take(tenant, hash, bytes));
      }
      return {};
    };
    return incoming;
  }

  const HistoryCsvOptions& options_;
  const std::int64_t now_us_;
  model::Spec spec_;
  std::vector<ColumnRole> columns_;
  std::vector<Row> rows_;
  std::vector<model::Field> fields_;
  std::map<Hash256, std::string> files_;
  std::map<Hash256, std::uint64_t> artefact_bytes_;
  std::map<Uuid, std::uint64_t> uuids_;                                   ///< lines
  std::map<std::int64_t, std::map<std::string, std::uint64_t>> commits_;  ///< lines of the nodes
  std::vector<std::int64_t> times_;
  /// Borrowed by the history, so `each_artefact` keeps them.
  std::shared_ptr<std::map<std::string, std::string>> records_ = std::make_shared<std::map<std::string, std::string>>();
};

}  // namespace

Result<Incoming> read_history_csv(const HistoryCsvOptions& options, std::int64_t now_us) {
  return HistoryCsv(options, now_us).read();
}

}  // namespace espalier::cli
