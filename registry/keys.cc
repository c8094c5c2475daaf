#include "registry/keys.h"

#include "common/bytes.h"

namespace espalier::registry::keys {
namespace {

constexpr std::string_view kPartitionEnd("\0\0", 2);

void append_newest_first(std::string& key, std::uint64_t epoch) { append_u64_be(key, ~epoch); }

std::string with_epoch(Table table, std::uint64_t epoch) {
  std::string key(1, static_cast<char>(table));
  append_u64_be(key, epoch);
  return key;
}

std::string with_names(Table table, std::initializer_list<std::string_view> names) {
  std::string key(1, static_cast<char>(table));
  for (const auto name : names) model::append_component(key, name);
  return key;
}

Status bad_key(std::string_view key) {
  return corrupt("a key of table " + std::string(key.substr(0, 1)) + " is cut short: " + to_hex(key));
}

/// Splits "components, 00 00, <tail_bytes>" behind the prefix.
Result<std::string_view> components_of(std::string_view key, std::size_t prefix_bytes, std::size_t tail_bytes) {
  const std::size_t around = prefix_bytes + kPartitionEnd.size() + tail_bytes;
  if (key.size() < around) return bad_key(key);
  const std::string_view components = key.substr(prefix_bytes, key.size() - around);
  if (key.substr(prefix_bytes + components.size(), kPartitionEnd.size()) != kPartitionEnd) return bad_key(key);
  return components;
}

}  // namespace

std::string table(Table table) { return std::string(1, static_cast<char>(table)); }

std::string behind(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xFF') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::string generation() { return table(Table::generation); }
std::string migration() { return table(Table::migration); }
std::string epoch(std::uint64_t epoch) { return with_epoch(Table::epoch, epoch); }
std::string time(std::int64_t time_us) { return with_epoch(Table::time, static_cast<std::uint64_t>(time_us)); }
std::string feed(std::uint64_t epoch) { return with_epoch(Table::feed, epoch); }

std::string feed_horizon() { return table(Table::feed_horizon); }

std::string changed(std::uint64_t epoch, std::uint32_t chunk) {
  std::string key = with_epoch(Table::changed, epoch);
  append_u32_be(key, chunk);
  return key;
}

std::string view(std::uint64_t epoch) { return with_epoch(Table::view, ~epoch); }

std::string key_prefix(std::string_view name) { return with_names(Table::key, {name}); }

std::string key(std::string_view name, std::uint64_t epoch) {
  std::string key = key_prefix(name);
  append_newest_first(key, epoch);
  return key;
}

std::string keys_changed() { return table(Table::key); }

std::string model_prefix(std::string_view tenant, std::string_view model) {
  return with_names(Table::model, {tenant, model});
}

std::string model(std::string_view tenant, std::string_view model, std::uint64_t epoch) {
  std::string key = model_prefix(tenant, model);
  append_newest_first(key, epoch);
  return key;
}

std::string spec(std::string_view tenant, const Hash256& hash) {
  return with_names(Table::spec, {tenant}).append(hash.view());
}

std::string artefact(std::string_view tenant, const Hash256& hash) {
  return with_names(Table::artefact, {tenant}).append(hash.view());
}

std::string versions_prefix(std::string_view tenant, std::string_view model) {
  return with_names(Table::version, {tenant, model});
}

std::string tag_prefix(std::string_view tenant, std::string_view model, std::string_view tag) {
  return with_names(Table::tag, {tenant, model, tag});
}

std::string components(const std::vector<std::string>& partition) {
  std::string bytes;
  for (const auto& value : partition) model::append_component(bytes, value);
  return bytes;
}

std::string node(std::string_view prefix, std::string_view components) {
  std::string key;
  key.reserve(prefix.size() + components.size() + kPartitionEnd.size() + kEpochBytes + sizeof(Uuid));
  return key.append(prefix).append(components).append(kPartitionEnd);
}

std::string node_at(std::string_view prefix, std::string_view components, std::uint64_t epoch) {
  std::string key = node(prefix, components);
  append_newest_first(key, epoch);
  return key;
}

std::string version_at(std::string_view prefix, std::string_view components, std::uint64_t epoch, const Uuid& version) {
  return node_at(prefix, components, epoch).append(version.view());
}

std::string version_by_uuid(std::string_view tenant, const Uuid& version) {
  return with_names(Table::version_by_uuid, {tenant}).append(version.view());
}

std::string releases_prefix(std::string_view tenant, std::string_view model) {
  return with_names(Table::release, {tenant, model});
}

std::string release(std::string_view tenant, std::string_view model, std::uint64_t epoch, const Uuid& release) {
  std::string key = releases_prefix(tenant, model);
  append_newest_first(key, epoch);
  return key.append(release.view());
}

std::string release_by_uuid(std::string_view tenant, const Uuid& release) {
  return with_names(Table::release_by_uuid, {tenant}).append(release.view());
}

std::string index_prefix(std::string_view tenant, std::string_view model, Index index) {
  return with_names(Table::index, {tenant, model}).append(1, static_cast<char>(index));
}

std::string index_block(std::string_view prefix, std::uint64_t epoch, std::uint32_t block) {
  std::string key(prefix);
  append_u64_be(key, epoch);
  append_u32_be(key, block);
  return key;
}

std::string index_attribute(std::string_view prefix, std::string_view name, std::string_view text) {
  std::string key(prefix);
  model::append_component(key, name);
  model::append_component(key, text);
  return key;
}

std::string index_attribute_at(std::string_view prefix, std::string_view name, std::string_view text,
                               std::uint64_t epoch) {
  std::string key = index_attribute(prefix, name, text);
  append_u64_be(key, epoch);
  return key;
}

std::string index_number(std::string_view prefix, std::string_view name) {
  std::string key(prefix);
  model::append_component(key, name);
  return key;
}

std::string index_number_at(std::string_view numbers, std::uint64_t number, std::uint64_t epoch, const Uuid& version) {
  std::string key;
  key.reserve(numbers.size() + sizeof number + kEpochBytes + sizeof(Uuid));
  key.append(numbers);
  append_u64_be(key, number);
  append_u64_be(key, epoch);
  return key.append(version.view());
}

std::string index_left_out(std::string_view prefix, std::string_view name) { return index_number(prefix, name); }

std::string of_tenant(Table table, std::string_view tenant) { return with_names(table, {tenant}); }

std::string of_model(Table table, std::string_view tenant, std::string_view model) {
  return with_names(table, {tenant, model});
}

std::string retention(std::string_view tenant, std::string_view model, std::uint64_t epoch) {
  std::string key = of_model(Table::retention, tenant, model);
  append_newest_first(key, epoch);
  return key;
}

std::string collected(std::string_view tenant, const Uuid& version) {
  return of_tenant(Table::collected, tenant).append(version.view());
}

std::string receipt(std::string_view tenant, const Uuid& receipt) {
  return of_tenant(Table::receipt, tenant).append(receipt.view()).append(1, 'h');
}

std::string receipt_items_prefix(std::string_view tenant, const Uuid& receipt) {
  return of_tenant(Table::receipt, tenant).append(receipt.view()).append(1, 'i');
}

std::string receipt_items(std::string_view tenant, const Uuid& receipt, std::uint32_t chunk) {
  std::string key = receipt_items_prefix(tenant, receipt);
  append_u32_be(key, chunk);
  return key;
}

std::string unfinished(std::string_view tenant, const Uuid& receipt) {
  return of_tenant(Table::unfinished, tenant).append(receipt.view());
}

std::string run_place(std::uint64_t epoch, const Uuid& run) {
  std::string place;
  append_newest_first(place, epoch);
  return place.append(run.view());
}

std::string run_by_uuid(std::string_view tenant, const Uuid& run) {
  return of_tenant(Table::run_by_uuid, tenant).append(run.view());
}

std::string run_part(std::string_view tenant, const Uuid& run, RunPart part) {
  return of_tenant(Table::run_part, tenant).append(run.view()).append(1, static_cast<char>(part));
}

std::string run_part_at(std::string_view tenant, const Uuid& run, RunPart part, std::uint64_t epoch) {
  std::string key = run_part(tenant, run, part);
  append_newest_first(key, epoch);
  return key;
}

std::string run_point(std::string_view points, std::string_view name, std::uint64_t step, std::uint64_t epoch,
                      std::uint32_t number) {
  std::string key = index_number(points, name);
  append_u64_be(key, step);
  append_u64_be(key, epoch);
  append_u32_be(key, number);
  return key;
}

std::string run_file(std::string_view tenant, const Hash256& hash) {
  return of_tenant(Table::run_file, tenant).append(hash.view());
}

std::string dataset(std::string_view tenant, const Hash256& dataset) {
  return of_tenant(Table::dataset, tenant).append(dataset.view());
}

std::string record_index(std::string_view tenant, std::string_view model, RecordIndex index) {
  return with_names(Table::record_index, {tenant, model}).append(1, static_cast<char>(index));
}

std::string history(std::string_view tenant, std::string_view model, std::int64_t time_us) {
  std::string key = of_model(Table::history, tenant, model);
  append_u64_be(key, static_cast<std::uint64_t>(time_us));
  return key;
}

std::string import_record(std::string_view tenant, std::string_view model) {
  return of_model(Table::imported, tenant, model);
}

std::string import_state(std::string_view tenant, std::string_view model, std::uint64_t epoch) {
  std::string key = import_record(tenant, model);
  append_u64_be(key, epoch);
  return key;
}

std::string audit(std::uint64_t epoch) { return with_epoch(Table::audit, epoch); }

std::string audit_of(std::string_view tenant, std::uint64_t epoch) {
  std::string key = of_tenant(Table::audit_of, tenant);
  append_u64_be(key, epoch);
  return key;
}

std::string quota(std::string_view tenant, std::uint64_t epoch) {
  std::string key = of_tenant(Table::quota, tenant);
  append_newest_first(key, epoch);
  return key;
}

std::string idem(std::string_view principal, const Uuid& idem) {
  return with_names(Table::idem, {principal}).append(idem.view());
}

std::string idem_by_time(std::int64_t time_us, std::string_view principal, const Uuid& idem) {
  std::string key = with_epoch(Table::idem_by_time, static_cast<std::uint64_t>(time_us));
  model::append_component(key, principal);
  return key.append(idem.view());
}

Result<TagKey> parse_tag(std::string_view key, std::size_t prefix_bytes) {
  ASSIGN_OR_RETURN(const std::string_view components, components_of(key, prefix_bytes, kEpochBytes));
  return TagKey{components, ~load_u64_be(key.data() + key.size() - kEpochBytes)};
}

Result<VersionKey> parse_version(std::string_view key, std::size_t prefix_bytes) {
  constexpr std::size_t kTail = kEpochBytes + sizeof(Uuid);
  ASSIGN_OR_RETURN(const std::string_view components, components_of(key, prefix_bytes, kTail));
  ASSIGN_OR_RETURN(const Uuid version, Uuid::from_bytes(key.substr(key.size() - sizeof(Uuid))));
  return VersionKey{components, ~load_u64_be(key.data() + key.size() - kTail), version};
}

Result<Names> parse_names(std::string_view key, std::size_t count) {
  Names names;
  std::size_t at = 1;
  for (std::size_t i = 0; i < count; ++i) {
    // A component ends at the first 00 01: inside one, 00 is followed by FF.
    const std::size_t end = key.find(std::string_view("\0\1", 2), at);
    if (end == std::string_view::npos) return bad_key(key);
    ASSIGN_OR_RETURN(auto values, model::split_components(key.substr(at, end + 2 - at)));
    if (values.size() != 1) return bad_key(key);
    names.names.push_back(std::move(values.front()));
    at = end + 2;
  }
  names.bytes = at;
  return names;
}

Result<Uuid> uuid_at_end(std::string_view key) {
  if (key.size() < 1 + sizeof(Uuid)) return bad_key(key);
  return Uuid::from_bytes(key.substr(key.size() - sizeof(Uuid)));
}

Result<std::uint64_t> newest_first_epoch(std::string_view key) {
  if (key.size() < 1 + kEpochBytes) return bad_key(key);
  return ~load_u64_be(key.data() + key.size() - kEpochBytes);
}

Result<std::uint64_t> ascending_epoch(std::string_view key) {
  if (key.size() < 1 + kEpochBytes) return bad_key(key);
  return load_u64_be(key.data() + key.size() - kEpochBytes);
}

Result<std::uint64_t> epoch_before_uuid(std::string_view key) {
  if (key.size() < kEpochBytes + sizeof(Uuid)) return bad_key(key);
  return ~load_u64_be(key.data() + key.size() - sizeof(Uuid) - kEpochBytes);
}

Result<IdemAge> parse_idem_by_time(std::string_view key) {
  if (key.size() < 1 + kEpochBytes + sizeof(Uuid)) return bad_key(key);
  IdemAge age;
  age.time_us = static_cast<std::int64_t>(load_u64_be(key.data() + 1));
  age.idem_key = table(Table::idem).append(key.substr(1 + kEpochBytes));
  return age;
}

}  // namespace espalier::registry::keys
