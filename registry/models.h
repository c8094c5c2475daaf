// Models: their spec, levels and input schema, each state kept under its epoch.
//
// Thread safety: as the Store. Errors: not_found "model TENANT/MODEL" where there is none as of that epoch.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "registry/reading.h"
#include "registry/store.h"
#include "wire/messages.h"

namespace espalier::registry {

inline constexpr std::size_t kMaxFields = 16384;
inline constexpr std::size_t kMaxFieldNameBytes = 256;

/// The input schema after a release that reads `proposed`: fields keep their place, new ones are appended.
/// invalid_argument: a bad or doubled name; failed_precondition: a field that has another type already.
Result<std::vector<model::Field>> evolve_schema(const std::vector<model::Field>& existing,
                                                const std::vector<model::Field>& proposed);
/// Levels may be appended at the end. A release may use fewer: the model keeps the longer list. failed_precondition:
/// another level at a place that is taken.
Result<std::vector<std::string>> evolve_levels(const std::vector<std::string>& existing,
                                               const std::vector<std::string>& proposed);

class Models {
 public:
  explicit Models(Store& store) : store_(store) {}

  Result<std::optional<wire::ModelRecord>> find(const std::string& tenant, const std::string& model,
                                                std::uint64_t epoch);
  Result<wire::ModelRecord> get(const std::string& tenant, const std::string& model, std::uint64_t epoch);
  /// A page as of `epoch`. Tenants that `may_read` refuses are passed over.
  Result<wire::ModelsReply> page(const wire::ModelsRequest& request, const PageCursor& cursor, std::uint64_t epoch,
                                 const std::function<bool(std::string_view)>& may_read);
  static void put(Batch& batch, const wire::ModelRecord& record);

 private:
  Store& store_;
};

}  // namespace espalier::registry
