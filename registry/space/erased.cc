#include "registry/space/erased.h"

#include "common/bytes.h"
#include "registry/keys.h"

namespace espalier::registry {

Result<std::optional<Erased::Mark>> Erased::find(const std::string& tenant) {
  ASSIGN_OR_RETURN(const auto value, store_.get(keys::of_tenant(keys::Table::erased, tenant)));
  if (!value) return std::optional<Mark>();
  if (value->size() != 16 + sizeof(Uuid)) return corrupt("a record of table Z has another size than 32 bytes");
  Mark mark;
  mark.time_us = load<std::int64_t>(value->data());
  mark.epoch = load<std::uint64_t>(value->data() + 8);
  ASSIGN_OR_RETURN(mark.receipt, Uuid::from_bytes(std::string_view(*value).substr(16)));
  return std::optional<Mark>(mark);
}

Status Erased::check(const std::string& tenant) {
  ASSIGN_OR_RETURN(const auto mark, find(tenant));
  if (!mark) return {};
  return failed_precondition("tenant " + tenant + " was erased (receipt " + mark->receipt.text() +
                             "): its name can't be used again");
}

void Erased::put(Batch& batch, const std::string& tenant, const Uuid& receipt) {
  std::string value;
  append(value, batch.time_us());
  append(value, batch.epoch());
  batch.put(keys::of_tenant(keys::Table::erased, tenant), value.append(receipt.view()));
}

}  // namespace espalier::registry
