// Table X against the records that it was made of. What the records ask for was looked up while they were read
// (require_index), so this is the other way round: what stands there, and blocks, which are a whole commit's.
#include "model/ids.h"
#include "registry/keys.h"
#include "registry/search/value.h"
#include "registry/upkeep/check_state.h"
#include "registry/upkeep/key_parts.h"

namespace espalier::registry::upkeep {
namespace {

using keys::Index;

/// Some ten microseconds.
constexpr int kCommitsAtOnce = 256;

void wrong(CheckState& state, std::string_view key, const IndexParts& parts, std::string what) {
  if (state.findings.add(key, std::move(what))) state.findings.index_is_wrong(parts.tenant, parts.model);
}

/// The record of a version that is there and sound; nothing otherwise, which is another table's matter.
std::optional<wire::VersionRecord> version(CheckState& state, const std::string& tenant, const Uuid& uuid) {
  const auto key = state.get(keys::version_by_uuid(tenant, uuid));
  const auto value = key ? state.get(*key) : std::nullopt;
  auto record = value ? wire::decode<wire::VersionRecord>(*value) : Result<wire::VersionRecord>(corrupt("gone"));
  return record.ok() ? std::optional(*std::move(record)) : std::nullopt;
}

void block(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = index_parts(key);
  if (!parts.ok()) return;  // the pass over all of X says so
  if (parts->index != static_cast<char>(Index::commits)) return;
  CommitSeen& commit = state.commits[model::model_key(parts->tenant, parts->model)][parts->epoch];
  const auto listed = search::versions_of_block(value);
  if (!listed.ok()) {
    commit.listed = commit.versions;  // explained
    return wrong(state, key, *parts, "does not decode: " + listed.status().message());
  }
  const std::string versions = keys::versions_prefix(parts->tenant, parts->model);
  for (const auto& version : *listed) {
    if (state.has(keys::version_at(versions, version.components, parts->epoch, version.version))) {
      ++commit.listed;
    } else {
      ++commit.gone;
      ++state.counts.passed_over;
    }
  }
}

void check_commit(CheckState& state, const std::string& name, std::uint64_t epoch, const CommitSeen& commit) {
  if (commit.listed == commit.versions) return;
  const auto names = model::split_components(name);
  if (!names.ok() || names->size() != 2) return;
  const std::string prefix = keys::index_prefix((*names)[0], (*names)[1], Index::commits);
  // The first block that isn't there, else the first.
  std::uint32_t number = 0;
  const std::uint32_t blocks = (commit.versions + search::kVersionsInBlock - 1) / search::kVersionsInBlock;
  while (number < blocks && state.has(keys::index_block(prefix, epoch, number))) ++number;
  const bool is_missing = number < blocks;
  const std::string key = keys::index_block(prefix, epoch, is_missing ? number : 0);
  IndexParts of;
  of.tenant = (*names)[0];
  of.model = (*names)[1];
  wrong(state, key, of,
        (is_missing ? "is missing: " : "lists another number: ") + std::to_string(commit.listed) +
            " versions of that commit are listed, it made " + std::to_string(commit.versions));
}

bool blocks_are_read(CheckState& state) {
  const bool is_first = !state.model_at;
  if (is_first) state.model_at = state.commits.begin();
  auto& model = *state.model_at;
  if (model == state.commits.end()) return true;
  if (is_first) state.commit_at = model->second.begin();
  for (int i = 0; i < kCommitsAtOnce && state.commit_at != model->second.end(); ++i, ++state.commit_at) {
    check_commit(state, model->first, state.commit_at->first, state.commit_at->second);
  }
  if (state.commit_at != model->second.end()) return false;
  if (++model == state.commits.end()) return true;
  state.commit_at = model->second.begin();
  return false;
}

void attribute(CheckState& state, std::string_view key, const IndexParts& parts) {
  if (state.attributes.contains(xxh3_64(key))) return;
  const auto& commits = state.commits[model::model_key(parts.tenant, parts.model)];
  const auto commit = commits.find(parts.epoch);
  if (commit != commits.end() && commit->second.has_release && commit->second.gone == 0) {
    wrong(state, key, parts, "none of what that commit made has it");
  } else {
    ++state.counts.passed_over;
  }
}

void number(CheckState& state, std::string_view key, std::string_view value, const IndexParts& parts) {
  const auto record = version(state, parts.tenant, parts.version);
  if (!record || record->epoch != parts.epoch) {
    ++state.counts.passed_over;
    return;
  }
  if (keys::components(record->partition) != value) return wrong(state, key, parts, "names another node");
  const auto numbers = search::top_numbers(record->metrics_json);
  const auto has = numbers.find(parts.name);
  if (has == numbers.end() || search::sortable_bits(has->second) != parts.number) {
    wrong(state, key, parts, "the version has another " + parts.name);
  }
}

void entry(CheckState& state, std::string_view key, std::string_view value) {
  const auto parts = index_parts(key);
  if (!parts.ok()) {
    state.findings.add(key, "no key of this table", std::nullopt);
    return;
  }
  switch (static_cast<Index>(parts->index)) {
    case Index::commits: return;
    case Index::attributes: return attribute(state, key, *parts);
    case Index::numbers: return number(state, key, value, *parts);
    case Index::left_out:
      if (!state.left_out.contains(xxh3_64(key))) ++state.counts.passed_over;
      return;
  }
}

}  // namespace

void require_index(CheckState& state, const std::string& tenant, const std::string& model,
                   const search::CommitIndex& index, std::string_view by) {
  const std::string prefix = keys::index_prefix(tenant, model, Index::commits);
  const std::size_t kind = prefix.size() - 1;
  index.each_entry([&](std::string_view key, std::string_view value) {
    const auto of = static_cast<Index>(key[kind]);
    if (of == Index::commits) return;
    // What a commit shares is looked up once.
    if (of == Index::attributes && !state.attributes.insert(xxh3_64(key)).second) return;
    if (of == Index::left_out && !state.left_out.insert(xxh3_64(key)).second) return;
    const auto found = state.get(key);
    if (found && *found == value) return;
    const std::string what = found ? "has another value: " : "is missing: ";
    if (state.findings.add(key, what + named_by(by))) state.findings.index_is_wrong(tenant, model);
  });
}

void add_index_passes(std::vector<Pass>& passes) {
  passes.push_back({keys::table(keys::Table::index), block, blocks_are_read});
  passes.push_back({keys::table(keys::Table::index), entry, nullptr});
}

}  // namespace espalier::registry::upkeep
