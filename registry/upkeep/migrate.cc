#include "registry/upkeep/migrate.h"

#include <array>

#include "common/bytes.h"
#include "common/log.h"
#include "common/scheduling.h"
#include "registry/keys.h"
#include "registry/search/rebuild.h"
#include "registry/upkeep/key_parts.h"

namespace espalier::registry::upkeep {
namespace {

constexpr std::size_t kMigrationBatchBytes = 1u << 20;

/// Where a step stands: its version and the last key prefix that it is done with.
std::string encoded_place(std::uint32_t from, std::string_view place) {
  std::string value;
  append(value, from);
  return value.append(place);
}

Result<std::string> place_of(LevelDbStore& store, std::uint32_t from) {
  ASSIGN_OR_RETURN(const auto value, store.get(keys::migration()));
  if (!value || value->size() < sizeof from || load<std::uint32_t>(value->data()) != from) return std::string();
  return value->substr(sizeof from);
}

/// The first model behind `place`: what its M records start with; empty: none is left.
Result<std::string> next_model(LevelDbStore& store, const std::string& place) {
  const std::string table = keys::table(keys::Table::model);
  ASSIGN_OR_RETURN(const auto cursor, store.scan());
  cursor->seek(place.empty() ? table : keys::behind(place));
  RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(table)) return std::string();
  return std::string(cursor->key().substr(0, cursor->key().size() - sizeof(std::uint64_t)));
}

/// Version 1 may lack table X.
Status make_indexes(LevelDbStore& store, std::uint32_t from) {
  ASSIGN_OR_RETURN(std::string place, place_of(store, from));
  for (;;) {
    ASSIGN_OR_RETURN(const std::string model, next_model(store, place));
    if (model.empty()) return {};
    ASSIGN_OR_RETURN(const Names names, split_names(model, 2));
    LevelDbStore::Changes changes;
    std::size_t bytes = 0;
    Status written;
    RETURN_IF_ERROR(search::each_index_entry(store, names.names[0], names.names[1],
                                             [&](std::string_view key, std::string_view value) {
                                               give_way();
                                               bytes += key.size() + value.size();
                                               changes.emplace_back(key, value);
                                               if (bytes < kMigrationBatchBytes || !written.ok()) return;
                                               written = store.rewrite(changes);
                                               changes.clear();
                                               bytes = 0;
                                             }));
    RETURN_IF_ERROR(written);
    changes.emplace_back(keys::migration(), encoded_place(from, model));
    RETURN_IF_ERROR(store.rewrite(changes));
    place = model;
  }
}

/// From version i + 1 to the next.
constexpr std::array<Status (*)(LevelDbStore& store, std::uint32_t from), keys::kSchemaVersion - 1> kSteps = {
    make_indexes};

}  // namespace

Status migrate(LevelDbStore& store) {
  while (store.schema() < keys::kSchemaVersion) {
    const std::uint32_t from = store.schema();
    log::info("registry", "migrating", {{"from", from}, {"to", from + 1}});
    RETURN_IF_ERROR(kSteps[from - 1](store, from).at("migration from schema version " + std::to_string(from)));
    RETURN_IF_ERROR(store.set_schema(from + 1, {{keys::migration(), std::nullopt}}));
    log::info("registry", "migrated", {{"to", store.schema()}});
  }
  return {};
}

}  // namespace espalier::registry::upkeep
