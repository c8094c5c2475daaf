#include "registry/moving/history.h"

#include <algorithm>
#include <unordered_map>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/upkeep/findings.h"
#include "registry/upkeep/key_parts.h"
#include "wire/messages.h"

namespace espalier::registry {
namespace {

using keys::Table;

/// A step takes no more once it has so many.
constexpr std::size_t kSliceBytes = 256u << 10;

/// What is named comes before what names it.
int rank(std::string_view key) { return static_cast<int>(std::string_view("MKRVT").find(key.front())); }

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
    case Table::release: {
      ASSIGN_OR_RETURN(auto parts, upkeep::release_parts(key));
      return Place{std::move(parts.model), parts.epoch};
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
  }
  return {};
}

Status History::sort() {
  const std::string name = tenant + "/" + model;
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
    std::string bytes;
    upkeep::append_record(bytes, record.key, record.value);
    hasher.update(bytes);
  }
  return hasher.finish();
}

History::Slice History::slice(std::uint64_t from) const {
  Slice slice;
  while (from + slice.records < records.size() && slice.records < most_in_step && slice.payload.size() < kSliceBytes) {
    const MovedRecord& record = records[from + slice.records++];
    upkeep::append_record(slice.payload, record.key, record.value);
  }
  return slice;
}

Result<std::vector<History>> histories_of(const upkeep::Archive& archive) {
  if (archive.head().kind != upkeep::ArchiveKind::histories) {
    return failed_precondition("the archive holds a whole registry: `espalier registry restore`");
  }
  std::vector<History> histories;
  std::unordered_map<std::string, std::size_t> places;
  RETURN_IF_ERROR(archive.each_record([&](std::string_view key, std::string_view value) -> Status {
    ASSIGN_OR_RETURN(const auto names, upkeep::split_names(key, 2));
    const std::string name = names.names[0] + "/" + names.names[1];
    const auto [at, is_new] = places.emplace(name, histories.size());
    if (is_new) {
      History& history = histories.emplace_back();
      history.tenant = names.names[0];
      history.model = names.names[1];
    }
    return histories[at->second].add(key, value).at(name);
  }));
  if (histories.empty()) return corrupt("the archive holds no history");
  for (History& history : histories) RETURN_IF_ERROR(history.sort());
  return histories;
}

}  // namespace espalier::registry
