#include "registry/idempotency.h"

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

constexpr std::size_t kHeadBytes = 16;
constexpr int kExpiredAtOnce = 16;

}  // namespace

Result<std::optional<std::string>> Idempotency::find(std::string_view principal, const Uuid& idem,
                                                     std::uint64_t request) {
  if (idem.is_nil()) return invalid_argument("idem: 16 bytes that are not all zero are needed");
  ASSIGN_OR_RETURN(auto value, store_.get(keys::idem(principal, idem)));
  if (!value) return std::optional<std::string>();
  if (value->size() < kHeadBytes) return corrupt("a record of table I is cut short");
  if (load<std::uint64_t>(value->data() + 8) != request) {
    return failed_precondition("idem: used for another change already");
  }
  return std::optional<std::string>(value->substr(kHeadBytes));
}

void Idempotency::remember(Batch& batch, std::string_view principal, const Uuid& idem, std::uint64_t request,
                           std::string_view reply) {
  std::string value;
  append(value, batch.time_us());
  append(value, request);
  value.append(reply);
  const std::string key = keys::idem(principal, idem);
  batch.require_absent(key);
  batch.put(key, value);
  batch.put(keys::idem_by_time(batch.time_us(), principal, idem), {});
}

Status Idempotency::expire(Batch& batch) {
  const std::string table = keys::table(keys::Table::idem_by_time);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek(table);
  for (int removed = 0; removed < kExpiredAtOnce && cursor->valid() && cursor->key().starts_with(table); ++removed) {
    ASSIGN_OR_RETURN(const keys::IdemAge age, keys::parse_idem_by_time(cursor->key()));
    if (age.time_us > batch.time_us() - kKeptUs) break;
    batch.remove(age.idem_key);
    batch.remove(cursor->key());
    cursor->next();
  }
  return cursor->status();
}

}  // namespace espalier::registry
