#include <filesystem>
#include <map>
#include <system_error>

#include "model/ids.h"
#include "registry/keys.h"
#include "registry/leveldb_store.h"
#include "registry/upkeep/archive_source.h"

namespace espalier::registry::upkeep {
namespace {

constexpr std::size_t kRestoreBatchBytes = 4u << 20;
constexpr std::string_view kRestoring = ".restoring";

Status put_records(Files& files, const Clock& clock, const Archive& archive, const std::string& folder,
                   std::uint64_t& generation) {
  ASSIGN_OR_RETURN(const auto store, LevelDbStore::open(files, clock, folder + "/store"));
  generation = store->generation();
  LevelDbStore::Changes changes;
  std::size_t bytes = 0;
  const auto write = [&]() -> Status {
    RETURN_IF_ERROR(store->rewrite(changes));
    changes.clear();
    bytes = 0;
    return {};
  };
  RETURN_IF_ERROR(archive.each_record([&](std::string_view key, std::string_view value) -> Status {
    if (key.starts_with(keys::table(keys::Table::generation))) return {};
    changes.emplace_back(key, value);
    bytes += key.size() + value.size();
    return bytes < kRestoreBatchBytes ? Status() : write();
  }));
  RETURN_IF_ERROR(write());
  // Of an earlier Espalier: the first start migrates it.
  return archive.head().schema == store->schema() ? Status() : store->set_schema(archive.head().schema);
}

Status put_artefacts(Files& files, const Archive& archive, const std::string& folder) {
  std::map<std::string, std::unique_ptr<model::Pack>, std::less<>> packs;
  RETURN_IF_ERROR(
      archive.each_artefact([&](std::string_view tenant, const Hash256& hash, std::string_view bytes) -> Status {
        auto pack = packs.find(tenant);
        if (pack == packs.end()) {
          RETURN_IF_ERROR(model::check_name("tenant", tenant));
          ASSIGN_OR_RETURN(auto opened, Artefacts::open_pack(files, folder + "/artefacts", std::string(tenant)));
          pack = packs.emplace(std::string(tenant), std::move(opened)).first;
        }
        return pack->second->add(hash, bytes);
      }));
  for (const auto& [tenant, pack] : packs) RETURN_IF_ERROR(pack->sync());
  return packs.empty() ? Status() : files.sync_directory(folder + "/artefacts");
}

/// A folder of ours that an earlier run left half-done.
Status remove_all(const std::string& folder) {
  std::error_code failed;
  std::filesystem::remove_all(folder, failed);
  return failed ? unavailable(folder + ": " + failed.message()) : Status();
}

}  // namespace

Result<std::uint64_t> restore(Files& files, const Clock& clock, const Archive& archive, const std::string& folder) {
  if (archive.head().kind != ArchiveKind::registry) {
    return failed_precondition("the archive holds histories of models, not a registry: `espalier registry import`");
  }
  std::string into = folder;
  while (into.size() > 1 && into.back() == '/') into.pop_back();
  if (files.exists(into)) {
    ASSIGN_OR_RETURN(const auto names, files.list(into));
    if (!names.empty()) return failed_precondition(into + ": not empty; a restore needs an empty or a new folder");
  }
  const std::string making = into + std::string(kRestoring);
  RETURN_IF_ERROR(remove_all(making));
  RETURN_IF_ERROR(files.create_directories(making));
  std::uint64_t generation = 0;
  RETURN_IF_ERROR(put_records(files, clock, archive, making, generation));
  RETURN_IF_ERROR(put_artefacts(files, archive, making));
  RETURN_IF_ERROR(files.sync_directory(making));
  // An empty folder of that name gives way.
  RETURN_IF_ERROR(files.rename(making, into));
  const std::string above = std::filesystem::path(into).parent_path();
  RETURN_IF_ERROR(files.sync_directory(above.empty() ? "." : above));
  return generation;
}

}  // namespace espalier::registry::upkeep
