#include "registry/upkeep/repair.h"

#include "common/log.h"
#include "registry/keys.h"
#include "registry/search/rebuild.h"
#include "registry/upkeep/check.h"
#include "registry/upkeep/stopped.h"

namespace espalier::registry::upkeep {
namespace {

/// What is mended may bring to light what stands on it.
constexpr int kRounds = 4;
constexpr std::size_t kRepairBatchBytes = 1u << 20;

/// Collects changes and writes them some at a time.
class Writes {
 public:
  explicit Writes(LevelDbStore& store) : store_(store) {}

  Status add(std::string_view key, std::optional<std::string> value) {
    bytes_ += key.size() + (value ? value->size() : 0);
    changes_.emplace_back(key, std::move(value));
    return bytes_ < kRepairBatchBytes ? Status() : write();
  }
  Status write() {
    if (changes_.empty()) return {};
    RETURN_IF_ERROR(store_.rewrite(changes_));
    changes_.clear();
    bytes_ = 0;
    return {};
  }

 private:
  LevelDbStore& store_;
  LevelDbStore::Changes changes_;
  std::size_t bytes_ = 0;
};

/// Table X of one model, from its records.
Status make_index_anew(LevelDbStore& store, const std::string& tenant, const std::string& model, Writes& writes) {
  std::vector<std::pair<std::string, std::string>> entries;
  RETURN_IF_ERROR(search::each_index_entry(
      store, tenant, model, [&](std::string_view key, std::string_view value) { entries.emplace_back(key, value); }));
  std::string prefix = keys::index_prefix(tenant, model, keys::Index::commits);
  prefix.pop_back();
  {
    ASSIGN_OR_RETURN(const auto cursor, store.scan());
    for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
      RETURN_IF_ERROR(writes.add(cursor->key(), std::nullopt));
    }
    RETURN_IF_ERROR(cursor->status());
  }
  for (auto& [key, value] : entries) RETURN_IF_ERROR(writes.add(key, std::move(value)));
  return {};
}

Status apply(LevelDbStore& store, const Findings& findings) {
  Writes writes(store);
  for (const Mend& mend : findings.mends()) RETURN_IF_ERROR(writes.add(mend.key, mend.value));
  RETURN_IF_ERROR(writes.write());
  for (const auto& [tenant, model] : findings.wrong_indexes()) {
    const Status made = make_index_anew(store, tenant, model, writes);
    // A record of the model that can't be read has its own finding.
    if (!made.ok()) log::warn("registry", "index not made anew", {{"tenant", tenant}, {"model", model}, {"why", made}});
  }
  return writes.write();
}

Result<std::uint64_t> salvage(Files& files, const std::string& folder, Records& records, bool dry_run) {
  std::uint64_t salvaged = 0;
  if (!files.exists(folder + "/artefacts")) return salvaged;
  ASSIGN_OR_RETURN(const auto tenants, files.list(folder + "/artefacts"));
  for (const std::string& tenant : tenants) {
    ASSIGN_OR_RETURN(const std::uint64_t found, records.artefacts.salvage(tenant, dry_run));
    salvaged += found;
  }
  return salvaged;
}

/// Findings of this round, told apart.
void sort(Findings& findings, Repaired& repaired) {
  repaired.left.clear();
  for (Finding& finding : findings.take()) {
    (finding.is_mendable ? repaired.mended : repaired.left).push_back(std::move(finding));
  }
}

}  // namespace

Result<Repaired> repair(Files& files, const Clock& clock, const std::string& folder, const RepairOptions& options) {
  Repaired repaired;
  if (options.leveldb && !options.dry_run) {
    RETURN_IF_ERROR(LevelDbStore::gather(files, store_folder(files, folder)));
  }
  ASSIGN_OR_RETURN(const Stopped stopped, open_stopped(files, clock, folder));
  // By this repair, or by one that was cut short.
  repaired.is_changed = stopped.store->is_gathered() && !options.dry_run;
  ASSIGN_OR_RETURN(repaired.salvaged, salvage(files, folder, *stopped.records, options.dry_run));
  repaired.is_changed |= repaired.salvaged > 0 && !options.dry_run;
  bool is_renewed = false;
  const auto renew = [&]() -> Status {
    if (is_renewed) return {};
    is_renewed = true;
    return stopped.store->start_generation();
  };
  // Before anything else is changed: whoever reads a half-mended registry starts anew as well.
  if (repaired.is_changed) RETURN_IF_ERROR(renew());
  for (int round = 0; round < kRounds; ++round) {
    ASSIGN_OR_RETURN(const auto check, Check::start(*stopped.records, true));
    RETURN_IF_ERROR(check->run_to_the_end(clock));
    Findings& findings = check->findings();
    sort(findings, repaired);
    if (options.dry_run || (findings.mends().empty() && findings.wrong_indexes().empty())) break;
    RETURN_IF_ERROR(renew());
    RETURN_IF_ERROR(apply(*stopped.store, findings));
    repaired.is_changed = true;
  }
  repaired.generation = stopped.store->generation();
  return repaired;
}

}  // namespace espalier::registry::upkeep
