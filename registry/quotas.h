// What tenants may have, and what they have (docs/quotas.md, table k). What is used is counted from the records, once
// for each tenant that has a quota, and kept in memory from then on: each change adds what it brings.
//
// Thread safety: as the Store. Errors: resource_exhausted says which quota, what is used and what is allowed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "registry/store.h"
#include "wire/audit_messages.h"

namespace espalier::registry {

/// What a batch changes of what a tenant has.
struct QuotaDelta {
  std::int64_t models = 0, nodes = 0;
  bool has_versions = false;  ///< new ones
};

class Quotas {
 public:
  explicit Quotas(Store& store) : store_(store) {}

  /// All limits 0 where none was ever set.
  Result<wire::QuotaRecord> get(const std::string& tenant);
  /// Writes it; the cache follows with forget_all() where the commit fails.
  void put(Batch& batch, const std::string& tenant, wire::QuotaRecord record);
  /// As of now: of all that is applied.
  Result<wire::Quota> used(const std::string& tenant);

  /// What the batch brings, counted against the tenant's quota; nothing: it has none that the batch could touch.
  Result<std::optional<QuotaDelta>> check(const Batch& batch, const std::string& tenant);
  /// The batch was applied.
  void applied(const std::string& tenant, const std::optional<QuotaDelta>& delta);
  /// The same for artefacts that are to be uploaded.
  Status check_upload(const std::string& tenant, std::uint64_t bytes);
  /// Whether the tenant has a quota, of whatever.
  Result<bool> has_any(const std::string& tenant);
  void uploaded(const std::string& tenant, std::uint64_t bytes);
  void removed(const std::string& tenant, std::uint64_t bytes);

  void forget(const std::string& tenant) { used_.erase(tenant); }
  void forget_all();

 private:
  Result<QuotaDelta> measure(const Batch& batch, const std::string& tenant);
  Result<bool> is_model_there(std::string_view model_prefix);
  Result<std::uint64_t> count_nodes(const std::string& tenant, const std::string& model);

  Store& store_;
  std::map<std::string, wire::QuotaRecord, std::less<>> limits_;  ///< that were looked up
  std::map<std::string, wire::Quota, std::less<>> used_;          ///< of tenants with a quota
};

}  // namespace espalier::registry
