#include "registry/moving/history.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/upkeep/findings.h"
#include "registry/upkeep/key_parts.h"
#include "wire/dataset_messages.h"
#include "wire/messages.h"
#include "wire/run_messages.h"

namespace espalier::registry {
namespace {

using keys::Table;

/// A step takes no more once it has so many.
constexpr std::size_t kSliceBytes = 256u << 10;

/// What is named comes before what names it.
int rank(std::string_view key) { return static_cast<int>(std::string_view("MKROUPVT").find(key.front())); }

struct Place {
  std::string model;
  std::uint64_t commit = 0;
};
Result<Place> place_of(std::string_view key) {
  switch (static_cast<Table>(key.front())) {
    case Table::model:
    case Table::retention: {
      ASSIGN_OR_RETURN(auto parts, upkeep::model_parts(key));
      return Place{std::move(parts.model), parts.epoch};
    }
    case Table::run:
    case Table::release: {
      ASSIGN_OR_RETURN(auto parts, upkeep::release_parts(key));
      return Place{std::move(parts.model), parts.epoch};
    }
    case Table::run_part: {
      ASSIGN_OR_RETURN(const auto parts, upkeep::run_parts(key));
      return Place{{}, parts.epoch};
    }
    case Table::run_file: {
      RETURN_IF_ERROR(upkeep::hash_parts(key).status());
      return Place{};  // sort() finds out
    }
    case Table::tag: {
      ASSIGN_OR_RETURN(auto parts, upkeep::tag_parts(key));
      return Place{std::move(parts.model), parts.epoch};
    }
    case Table::version: {
      ASSIGN_OR_RETURN(auto parts, upkeep::version_parts(key));
      return Place{std::move(parts.model), parts.epoch};
    }
    default: return corrupt("a record of table " + std::string(key.substr(0, 1)) + ", which no history has");
  }
}

/// The versions of one commit, each behind its parent.
Status parents_first(std::vector<MovedRecord>::iterator begin, std::vector<MovedRecord>::iterator end) {
  std::unordered_map<Uuid, std::size_t> places;
  std::vector<Uuid> parents;
  const auto count = static_cast<std::size_t>(end - begin);
  for (std::size_t i = 0; i < count; ++i) {
    const auto version = wire::decode<wire::VersionRecord>(begin[static_cast<std::ptrdiff_t>(i)].value);
    if (!version.ok()) return corrupt(upkeep::readable(begin[static_cast<std::ptrdiff_t>(i)].key) + " does not decode");
    places.emplace(version->version, i);
    parents.push_back(version->parent);
  }
  std::vector<MovedRecord> sorted;
  std::vector<bool> is_in(count);
  std::vector<std::size_t> path;
  for (std::size_t i = 0; i < count; ++i) {
    // Parents that are each other's come in the order in which they are met.
    for (std::size_t at = i; !is_in[at];) {
      is_in[at] = true;
      path.push_back(at);
      const auto parent = places.find(parents[at]);
      if (parent == places.end()) break;
      at = parent->second;
    }
    for (; !path.empty(); path.pop_back()) sorted.push_back(begin[static_cast<std::ptrdiff_t>(path.back())]);
  }
  std::ranges::copy(sorted, begin);
  return {};
}

/// A file comes with the first commit in which a run has it.
Status place_files(std::vector<MovedRecord>& records) {
  std::unordered_map<Hash256, MovedRecord*> files;
  for (MovedRecord& record : records) {
    if (static_cast<Table>(record.key.front()) != Table::run_file) continue;
    ASSIGN_OR_RETURN(const auto parts, upkeep::hash_parts(record.key));
    files.emplace(parts.hash, &record);
  }
  if (files.empty()) return {};
  for (const MovedRecord& record : records) {
    if (static_cast<Table>(record.key.front()) != Table::run_part) continue;
    ASSIGN_OR_RETURN(const auto parts, upkeep::run_parts(record.key));
    if (parts.part != static_cast<char>(keys::RunPart::state)) continue;
    const auto state = wire::decode<wire::RunState>(record.value);
    if (!state.ok()) return state.status().at(upkeep::readable(record.key));
    for (const wire::RunFile& file : state->files) {
      const auto at = files.find(file.hash);
      if (at == files.end()) continue;
      std::uint64_t& commit = at->second->commit;
      commit = commit == 0 ? record.commit : std::min(commit, record.commit);
    }
  }
  for (const auto& [hash, record] : files) {
    if (record->commit == 0) return corrupt("file " + hash.hex() + " is of none of its runs");
  }
  return {};
}

/// The model that a record is of, where its key doesn't say: of the runs that came.
struct Grouped {
  std::vector<History> histories;
  std::unordered_map<std::string, std::size_t> places;  ///< by TENANT/MODEL
  std::unordered_map<std::string, std::size_t> of_run;  ///< by TENANT and UUID
  std::unordered_map<std::string, std::set<std::size_t>> of_file;
  std::vector<MovedDataset> datasets;

  static std::string run_key(const std::string& tenant, const Uuid& run) {
    return tenant + "/" + std::string(run.view());
  }
  std::size_t place(const std::string& tenant, const std::string& model) {
    const auto [at, is_new] = places.emplace(tenant + "/" + model, histories.size());
    if (is_new) {
      History& history = histories.emplace_back();
      history.tenant = tenant;
      history.model = model;
    }
    return at->second;
  }
  Status add(std::size_t place, std::string_view key, std::string_view value) {
    History& history = histories[place];
    return history.add(key, value).at(history.tenant + "/" + history.model);
  }

  /// What says whose a record of the second pass is.
  Status first(std::string_view key, std::string_view value) {
    if (static_cast<Table>(key.front()) == Table::dataset) {
      ASSIGN_OR_RETURN(datasets.emplace_back(), moved_dataset(key, value));
      return {};
    }
    if (static_cast<Table>(key.front()) != Table::run) return {};
    ASSIGN_OR_RETURN(const auto parts, upkeep::release_parts(key));
    of_run.emplace(run_key(parts.tenant, parts.release), place(parts.tenant, parts.model));
    return {};
  }
  Status second(std::string_view key, std::string_view value) {
    switch (static_cast<Table>(key.front())) {
      case Table::dataset: return {};
      case Table::run_file: return {};
      case Table::run_part: {
        ASSIGN_OR_RETURN(const auto parts, upkeep::run_parts(key));
        const auto at = of_run.find(run_key(parts.tenant, parts.run));
        if (at == of_run.end()) return corrupt(upkeep::readable(key) + ": of a run that is not there");
        if (parts.part == static_cast<char>(keys::RunPart::state)) RETURN_IF_ERROR(see_files(at->second, key, value));
        return add(at->second, key, value);
      }
      default: {
        ASSIGN_OR_RETURN(const auto names, upkeep::split_names(key, 2));
        return add(place(names.names[0], names.names[1]), key, value);
      }
    }
  }
  Status see_files(std::size_t place, std::string_view key, std::string_view value) {
    const auto state = wire::decode<wire::RunState>(value);
    if (!state.ok()) return state.status().at(upkeep::readable(key));
    for (const wire::RunFile& file : state->files) {
      of_file[keys::run_file(histories[place].tenant, file.hash)].insert(place);
    }
    return {};
  }
  Status third(std::string_view key, std::string_view value) {
    if (static_cast<Table>(key.front()) != Table::run_file) return {};
    const auto at = of_file.find(std::string(key));
    if (at == of_file.end()) return corrupt(upkeep::readable(key) + ": a file of no run");
    for (const std::size_t place : at->second) RETURN_IF_ERROR(add(place, key, value));
    return {};
  }

  static Result<MovedDataset> moved_dataset(std::string_view key, std::string_view value) {
    ASSIGN_OR_RETURN(auto parts, upkeep::dataset_parts(key));
    const auto record = wire::decode<wire::DatasetRecord>(value);
    if (!record.ok()) return record.status().at(upkeep::readable(key));
    return MovedDataset{std::move(parts.tenant), parts.dataset, record->file, record->rows, key, value};
  }
};

}  // namespace

Status History::add(std::string_view key, std::string_view value) {
  if (static_cast<Table>(key.front()) == Table::history) {
    if (key.size() < 9 || value.size() != 8 || load<std::uint64_t>(value.data()) != times.size() + 1) {
      return corrupt("commit " + std::to_string(times.size() + 1) + " of " + tenant + "/" + model + " has no time");
    }
    times.push_back(static_cast<std::int64_t>(load_u64_be(key.data() + key.size() - 8)));
    return {};
  }
  ASSIGN_OR_RETURN(const Place place, place_of(key));
  records.push_back({place.commit, key, value});
  if (static_cast<Table>(key.front()) == Table::tag) ++entries;
  if (static_cast<Table>(key.front()) == Table::release) {
    ASSIGN_OR_RETURN(const auto parts, upkeep::release_parts(key));
    releases.push_back(parts.release);
  }
  if (static_cast<Table>(key.front()) == Table::version) {
    ASSIGN_OR_RETURN(const auto parts, upkeep::version_parts(key));
    const auto version = wire::decode<wire::VersionRecord>(value);
    if (!version.ok()) return version.status().at(upkeep::readable(key));
    versions.push_back(parts.version);
    if (version->collected_us != 0) ++without_artefact;
    named.see_lineage(version->lineage_json);
  }
  if (static_cast<Table>(key.front()) == Table::run) {
    const auto run = wire::decode<wire::RunRecord>(value);
    if (!run.ok()) return run.status().at(upkeep::readable(key));
    runs.push_back(run->run);
    named.see(run->dataset);
  }
  if (static_cast<Table>(key.front()) == Table::run_part) {
    ASSIGN_OR_RETURN(const auto parts, upkeep::run_parts(key));
    if (parts.part == static_cast<char>(keys::RunPart::points)) ++points;
  }
  return {};
}

Status History::sort() {
  const std::string name = tenant + "/" + model;
  RETURN_IF_ERROR(place_files(records).at(name));
  std::ranges::stable_sort(records, [](const MovedRecord& a, const MovedRecord& b) {
    return std::tuple(a.commit, rank(a.key)) < std::tuple(b.commit, rank(b.key));
  });
  if (records.empty() || times.empty()) return corrupt(name + ": a history without commits");
  std::uint64_t last = 0;
  for (const MovedRecord& record : records) {
    if (record.commit == last) continue;
    if (record.commit != last + 1) return corrupt(name + ": nothing is of commit " + std::to_string(last + 1));
    last = record.commit;
  }
  if (last != times.size()) {
    return corrupt(name + ": " + std::to_string(last) + " commits, " + std::to_string(times.size()) +
                   " of them have times");
  }
  const auto is_version = [](const MovedRecord& record) { return record.key.front() == 'V'; };
  for (auto at = records.begin(); at != records.end();) {
    at = std::find_if(at, records.end(), is_version);
    const auto end = std::find_if(at, records.end(), [&](const MovedRecord& record) {
      return !is_version(record) || record.commit != at->commit;
    });
    RETURN_IF_ERROR(parents_first(at, end));
    at = end;
  }
  return {};
}

Hash256 History::hash() const {
  Hasher256 hasher;
  for (const std::int64_t time : times) {
    std::string bytes;
    append(bytes, time);
    hasher.update(bytes);
  }
  for (const MovedRecord& record : records) {
    // What is in a file, the state that names it says.
    if (static_cast<Table>(record.key.front()) == Table::run_file) continue;
    std::string bytes;
    upkeep::append_record(bytes, record.key, record.value);
    hasher.update(bytes);
  }
  for (const MovedDataset& dataset : datasets) {
    std::string bytes(dataset.dataset.view());
    append(bytes.append(dataset.file.view()), dataset.rows);
    hasher.update(bytes);
  }
  return hasher.finish();
}

History::Slice History::slice(std::uint64_t from) const {
  Slice slice;
  while (from + slice.records < records.size() && slice.records < most_in_step && slice.payload.size() < kSliceBytes) {
    const MovedRecord& record = records[from + slice.records];
    // A large one comes alone.
    if (slice.records > 0 && slice.payload.size() + record.value.size() > kSliceBytes) break;
    ++slice.records;
    upkeep::append_record(slice.payload, record.key, record.value);
  }
  return slice;
}

History::Slice slice_of(const std::vector<MovedDataset>& datasets, std::uint64_t from) {
  constexpr std::size_t kMostDatasets = 64;
  History::Slice slice;
  while (from + slice.records < datasets.size() && slice.records < kMostDatasets) {
    const MovedDataset& dataset = datasets[from + slice.records];
    if (slice.records > 0 && slice.payload.size() + dataset.value.size() > kSliceBytes) break;
    ++slice.records;
    upkeep::append_record(slice.payload, dataset.key, dataset.value);
  }
  return slice;
}

Result<std::vector<History>> histories_of(const std::function<Status(const TakeRecord& take)>& each_record) {
  Grouped grouped;
  RETURN_IF_ERROR(each_record([&](std::string_view key, std::string_view value) { return grouped.first(key, value); }));
  RETURN_IF_ERROR(
      each_record([&](std::string_view key, std::string_view value) { return grouped.second(key, value); }));
  RETURN_IF_ERROR(each_record([&](std::string_view key, std::string_view value) { return grouped.third(key, value); }));
  if (grouped.histories.empty()) return corrupt("the archive holds no history");
  std::ranges::sort(grouped.histories, {}, [](const History& h) { return std::tie(h.tenant, h.model); });
  for (History& history : grouped.histories) {
    for (const MovedDataset& dataset : grouped.datasets) {
      if (dataset.tenant == history.tenant && history.named.all().contains(dataset.dataset)) {
        history.datasets.push_back(dataset);
      }
    }
    RETURN_IF_ERROR(history.sort());
  }
  return std::move(grouped.histories);
}

Result<std::vector<History>> histories_of(const upkeep::Archive& archive) {
  if (archive.head().kind != upkeep::ArchiveKind::histories) {
    return failed_precondition("the archive holds a whole registry: `espalier registry restore`");
  }
  return histories_of([&](const TakeRecord& take) { return archive.each_record(take); });
}

Result<std::vector<MovedDataset>> datasets_of(const upkeep::Archive& archive) {
  std::vector<MovedDataset> datasets;
  RETURN_IF_ERROR(archive.each_record([&](std::string_view key, std::string_view value) -> Status {
    if (key.empty() || static_cast<Table>(key.front()) != Table::dataset) return {};
    ASSIGN_OR_RETURN(datasets.emplace_back(), Grouped::moved_dataset(key, value));
    return {};
  }));
  return datasets;
}

}  // namespace espalier::registry
