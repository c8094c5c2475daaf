// Every key of the registry's store is built and taken apart here; docs/registry-keys.md is this file's twin.
//
// Thread safety: pure functions. Errors: a parse that fails is `corrupt`: keys are only read back from our own store.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/hash.h"
#include "common/status.h"
#include "common/uuid.h"
#include "model/ids.h"

namespace espalier::registry::keys {

inline constexpr std::uint32_t kSchemaVersion = 2;
inline constexpr std::size_t kEpochBytes = 8;

/// First byte of every key. On disk: never change.
enum class Table : char {
  generation = 'G',
  migration = 'B',
  epoch = 'E',
  time = 'e',
  feed = 'F',
  feed_horizon = 'f',
  changed = 'C',
  view = 'W',
  model = 'M',
  spec = 'S',
  artefact = 'A',
  version = 'V',
  version_by_uuid = 'v',
  tag = 'T',
  release = 'R',
  release_by_uuid = 'r',
  index = 'X',
  retention = 'K',
  collected = 'D',
  receipt = 'Q',
  unfinished = 'q',
  erased = 'Z',
  run = 'U',
  run_by_uuid = 'u',
  run_part = 'P',
  run_file = 'O',
  record_index = 'Y',
  dataset = 'N',
  history = 'H',
  imported = 'h',
  key = 'L',
  audit = 'J',
  audit_of = 'j',
  quota = 'k',
  idem = 'I',
  idem_by_time = 'i',
};

/// All of them, and those whose keys begin with a tenant: an erasure takes these.
inline constexpr std::string_view kTables = "GBEeFfCWLJjkMSAVvTRrXKDQqZUuPONYHhIi";
inline constexpr std::string_view kTablesOfTenants = "VvTRrXSKDMAUuPONYHhQqZjk";

/// The prefix of a table, and the first key behind everything that starts with `prefix`.
std::string table(Table table);
std::string behind(std::string_view prefix);

std::string generation();
std::string migration();
std::string epoch(std::uint64_t epoch);
std::string time(std::int64_t time_us);
std::string feed(std::uint64_t epoch);
std::string feed_horizon();
std::string changed(std::uint64_t epoch, std::uint32_t chunk);
std::string view(std::uint64_t epoch);
/// Who may do what: a key's records, one of them, and the newest change of any.
std::string key_prefix(std::string_view name);
std::string key(std::string_view name, std::uint64_t epoch);
std::string keys_changed();

std::string model_prefix(std::string_view tenant, std::string_view model);
std::string model(std::string_view tenant, std::string_view model, std::uint64_t epoch);
std::string spec(std::string_view tenant, const Hash256& hash);
std::string artefact(std::string_view tenant, const Hash256& hash);

/// `V` or `T` up to where partitions begin: what every key of a model's versions, or of a tag's entries, starts with.
std::string versions_prefix(std::string_view tenant, std::string_view model);
std::string tag_prefix(std::string_view tenant, std::string_view model, std::string_view tag);
/// The level values of a partition as components: behind a prefix from above, the prefix of the subtree.
std::string components(const std::vector<std::string>& partition);
/// `prefix` + `components` + the mark that ends a partition: what the records of one node start with.
std::string node(std::string_view prefix, std::string_view components);
/// The record of that node for an epoch.
std::string node_at(std::string_view prefix, std::string_view components, std::uint64_t epoch);
/// The same for a version.
std::string version_at(std::string_view prefix, std::string_view components, std::uint64_t epoch, const Uuid& version);

std::string version_by_uuid(std::string_view tenant, const Uuid& version);
std::string releases_prefix(std::string_view tenant, std::string_view model);
std::string release(std::string_view tenant, std::string_view model, std::uint64_t epoch, const Uuid& release);
std::string release_by_uuid(std::string_view tenant, const Uuid& release);

/// Search indexes of a model: up to where an index's name or epoch begins.
enum class Index : char { commits = 'e', attributes = 'a', numbers = 'n', left_out = 'm' };
std::string index_prefix(std::string_view tenant, std::string_view model, Index index);
/// Block of the versions that a commit made; attribute of a commit; number of a version; name that isn't indexed.
/// `prefix`: index_prefix() of that index. `numbers`: index_number() of the
/// metric's name; `number`: bits that sort as the numbers do.
std::string index_block(std::string_view prefix, std::uint64_t epoch, std::uint32_t block);
std::string index_attribute(std::string_view prefix, std::string_view name, std::string_view text);
std::string index_attribute_at(std::string_view prefix, std::string_view name, std::string_view text,
                               std::uint64_t epoch);
std::string index_number(std::string_view prefix, std::string_view name);
std::string index_number_at(std::string_view numbers, std::uint64_t number, std::uint64_t epoch, const Uuid& version);
std::string index_left_out(std::string_view prefix, std::string_view name);

/// What every key of the table that belongs to the tenant starts with.
std::string of_tenant(Table table, std::string_view tenant);
/// The same for one of its models. REQUIRES: the table has the model behind the tenant.
std::string of_model(Table table, std::string_view tenant, std::string_view model);
std::string retention(std::string_view tenant, std::string_view model, std::uint64_t epoch);
std::string collected(std::string_view tenant, const Uuid& version);
std::string receipt(std::string_view tenant, const Uuid& receipt);
std::string receipt_items_prefix(std::string_view tenant, const Uuid& receipt);
std::string receipt_items(std::string_view tenant, const Uuid& receipt, std::uint32_t chunk);
std::string unfinished(std::string_view tenant, const Uuid& receipt);

/// Runs: the place of one among its model's, behind of_model(Table::run); what it has; its points of one metric.
std::string run_place(std::uint64_t epoch, const Uuid& run);
std::string run_by_uuid(std::string_view tenant, const Uuid& run);
enum class RunPart : char { state = 's', last = 'l', points = 'm' };
std::string run_part(std::string_view tenant, const Uuid& run, RunPart part);
std::string run_part_at(std::string_view tenant, const Uuid& run, RunPart part, std::uint64_t epoch);
std::string run_point(std::string_view points, std::string_view name, std::uint64_t step, std::uint64_t epoch,
                      std::uint32_t number);
std::string run_file(std::string_view tenant, const Hash256& hash);
/// What the records of a dataset start with.
std::string dataset(std::string_view tenant, const Hash256& dataset);
/// Indexes of runs, and of datasets, which belong to no model. Behind the first two index_attribute() or index_number()
/// and the number; then the place: of a dataset its fingerprint.
enum class RecordIndex : char { attributes = 'a', numbers = 'n', open = 'o', ended = 'z', made = 'd' };
std::string record_index(std::string_view tenant, std::string_view model, RecordIndex index);
/// A commit of an imported history, by the time that it had where it was made.
std::string history(std::string_view tenant, std::string_view model, std::int64_t time_us);
/// How far an import is; a state of the model that waits for the import's end.
std::string import_record(std::string_view tenant, std::string_view model);
std::string import_state(std::string_view tenant, std::string_view model, std::uint64_t epoch);

/// What is told of the change of that epoch; that it was a tenant's, or, with an empty one, the cluster's.
std::string audit(std::uint64_t epoch);
std::string audit_of(std::string_view tenant, std::uint64_t epoch);
std::string quota(std::string_view tenant, std::uint64_t epoch);

std::string idem(std::string_view principal, const Uuid& idem);
std::string idem_by_time(std::int64_t time_us, std::string_view principal, const Uuid& idem);

/// What stands behind a tag's prefix.
struct TagKey {
  std::string_view components;  ///< borrowed from the key
  std::uint64_t epoch = 0;
};
/// REQUIRES: `key` starts with the tag's prefix of `prefix_bytes` bytes.
Result<TagKey> parse_tag(std::string_view key, std::size_t prefix_bytes);
struct VersionKey {
  std::string_view components;
  std::uint64_t epoch = 0;
  Uuid version;
};
Result<VersionKey> parse_version(std::string_view key, std::size_t prefix_bytes);

/// Of the tables T and q, and of others that begin with the tenant: its names, as many as `count`, and where they end.
struct Names {
  std::vector<std::string> names;
  std::size_t bytes = 0;
};
Result<Names> parse_names(std::string_view key, std::size_t count);
/// The UUID that a key ends in.
Result<Uuid> uuid_at_end(std::string_view key);

/// Epoch at the end of a key that ends in ~epoch, or in epoch.
Result<std::uint64_t> newest_first_epoch(std::string_view key);
Result<std::uint64_t> ascending_epoch(std::string_view key);
/// Of a key that ends in ~epoch and a UUID.
Result<std::uint64_t> epoch_before_uuid(std::string_view key);
/// Where in an idem_by_time key the time ends, and the idem key that it stands for.
struct IdemAge {
  std::int64_t time_us = 0;
  std::string idem_key;
};
Result<IdemAge> parse_idem_by_time(std::string_view key);

}  // namespace espalier::registry::keys
