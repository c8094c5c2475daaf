#include "registry/key_records.h"

#include <algorithm>
#include <array>
#include <limits>

#include "common/bytes.h"
#include "model/ids.h"
#include "registry/keys.h"
#include "registry/reading.h"
#include "wire/messages.h"

namespace espalier::registry {
namespace {

constexpr std::array<std::string_view, 6> kRoles = {"admin", "predictor", "publisher", "reader", "router", "shard"};

/// Roles that concern the cluster as a whole, not tenants.
bool is_of_cluster(std::string_view role) { return role == "router" || role == "shard"; }

void sort_once(std::vector<std::string>& texts) {
  std::ranges::sort(texts);
  const auto rest = std::ranges::unique(texts);
  texts.erase(rest.begin(), rest.end());
}

Status check_roles(const std::vector<std::string>& roles) {
  if (roles.empty()) return invalid_argument("roles: at least one is needed");
  for (const std::string& role : roles) {
    if (std::ranges::find(kRoles, role) == kRoles.end()) {
      return invalid_argument("roles: there are admin, predictor, publisher, reader, router and shard, got '" +
                              role.substr(0, 64) + "'");
    }
    if (is_of_cluster(role) && roles.size() > 1) {
      return invalid_argument("roles: a process of the cluster has no other role than " + role);
    }
  }
  return {};
}

Status check_tenants(const wire::KeyRecord& key) {
  for (const std::string& tenant : key.tenants) RETURN_IF_ERROR(model::check_name("tenant", tenant).at("tenants"));
  if (key.tenants.size() > kMostKeyTenants) {
    return invalid_argument("tenants: at most " + std::to_string(kMostKeyTenants) + ", or all_tenants");
  }
  if (is_of_cluster(key.roles.front())) {
    if (key.all_tenants || !key.tenants.empty()) return invalid_argument("tenants: a process of the cluster has none");
  } else if (key.all_tenants != key.tenants.empty()) {
    return invalid_argument("tenants: either some, or all_tenants");
  }
  return {};
}

Status check_end(std::int64_t expires_us, std::int64_t now_us) {
  if (expires_us == 0 || expires_us > now_us) return {};
  return invalid_argument("expires_us: is over already");
}

Status check_half(const Hash256& half) {
  return half.is_none() ? invalid_argument("key: the public half is missing") : Status();
}

}  // namespace

Result<wire::KeyRecord> new_key(const wire::KeyCreateRequest& request, std::int64_t now_us) {
  RETURN_IF_ERROR(model::check_name("name", request.name));
  if (request.name == "local") return invalid_argument("name: 'local' is who needs no key");
  wire::KeyRecord key;
  key.name = request.name;
  key.roles = request.roles;
  key.tenants = request.tenants;
  key.all_tenants = request.all_tenants;
  sort_once(key.roles);
  sort_once(key.tenants);
  RETURN_IF_ERROR(check_roles(key.roles));
  RETURN_IF_ERROR(check_tenants(key));
  RETURN_IF_ERROR(check_end(request.expires_us, now_us));
  RETURN_IF_ERROR(check_half(request.key));
  key.halves = {{request.key, 0}};
  key.expires_us = request.expires_us;
  key.created_us = now_us;
  return key;
}

Result<wire::KeyRecord> limited_key(wire::KeyRecord key, const wire::KeyLimitRequest& request, std::int64_t now_us) {
  auto roles = request.roles, tenants = request.tenants;
  sort_once(roles);
  sort_once(tenants);
  if (!roles.empty()) {
    RETURN_IF_ERROR(check_roles(roles));
    if (!std::ranges::includes(key.roles, roles)) {
      return invalid_argument("roles: key " + key.name + " doesn't have them all; a limit only takes away");
    }
    key.roles = std::move(roles);
  }
  if (!tenants.empty()) {
    if (!key.all_tenants && !std::ranges::includes(key.tenants, tenants)) {
      return invalid_argument("tenants: key " + key.name + " doesn't have them all; a limit only takes away");
    }
    key.all_tenants = false;
    key.tenants = std::move(tenants);
    RETURN_IF_ERROR(check_tenants(key));
  }
  if (request.expires_us != 0) {
    RETURN_IF_ERROR(check_end(request.expires_us, now_us));
    if (key.expires_us != 0 && request.expires_us > key.expires_us) {
      return invalid_argument("expires_us: key " + key.name + " ends before; a limit only takes away");
    }
    key.expires_us = request.expires_us;
  }
  return key;
}

Result<wire::KeyRecord> rotated_key(wire::KeyRecord key, const wire::KeyRotateRequest& request, std::int64_t now_us) {
  RETURN_IF_ERROR(check_half(request.key));
  if (request.overlap_us < 0 || request.overlap_us > kLongestOverlapUs) {
    return invalid_argument("overlap_us: from 0 to 30 days");
  }
  const std::int64_t until_us = now_us + request.overlap_us;
  std::erase_if(key.halves, [&](const wire::KeyHalf& half) { return half.until_us != 0 && half.until_us <= now_us; });
  for (wire::KeyHalf& half : key.halves) {
    half.until_us = half.until_us == 0 ? until_us : std::min(half.until_us, until_us);
  }
  if (request.overlap_us == 0) key.halves.clear();
  if (key.halves.size() == kMostKeyHalves) {
    return Status(Code::resource_exhausted, "key " + key.name + " has " + std::to_string(kMostKeyHalves) +
                                                " halves that count still; rotate it with a shorter overlap");
  }
  key.halves.insert(key.halves.begin(), {request.key, 0});
  return key;
}

Result<std::vector<wire::KeyRecord>> KeyRecords::all() const {
  std::vector<wire::KeyRecord> found;
  const std::string table = keys::table(keys::Table::key);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  for (cursor->seek(keys::keys_changed() + '\0'); cursor->valid() && cursor->key().starts_with(table);) {
    auto record = wire::decode<wire::KeyRecord>(cursor->value());
    if (!record.ok()) return bad_record(cursor->key(), record.status());
    cursor->seek(keys::behind(keys::key_prefix(record->name)));
    found.push_back(*std::move(record));
  }
  RETURN_IF_ERROR(cursor->status());
  return found;
}

Result<std::optional<wire::KeyRecord>> KeyRecords::find(std::string_view name) const {
  const std::string prefix = keys::key_prefix(name);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, prefix, std::numeric_limits<std::uint64_t>::max()));
  if (!dated) return std::optional<wire::KeyRecord>();
  auto record = wire::decode<wire::KeyRecord>(dated->value);
  if (!record.ok()) return bad_record(prefix, record.status());
  return std::optional(*std::move(record));
}

Result<std::uint64_t> KeyRecords::changed() const {
  ASSIGN_OR_RETURN(const auto value, store_.get(keys::keys_changed()));
  if (!value) return std::uint64_t{0};
  if (value->size() != sizeof(std::uint64_t)) return corrupt("table L: 8 bytes expected");
  return load<std::uint64_t>(value->data());
}

void KeyRecords::put(Batch& batch, wire::KeyRecord key, const std::string& principal) {
  key.principal = principal;
  key.epoch = batch.epoch();
  batch.put(keys::key(key.name, batch.epoch()), wire::encode(key));
  std::string epoch;
  append(epoch, batch.epoch());
  batch.put(keys::keys_changed(), epoch);
}

}  // namespace espalier::registry
