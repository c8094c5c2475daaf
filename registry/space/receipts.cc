#include "registry/space/receipts.h"

#include <ctime>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/reading.h"

namespace espalier::registry {
namespace {

std::string day_of(std::int64_t time_us) {
  const std::time_t seconds = time_us / 1'000'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts)};
}

}  // namespace

Result<wire::Receipt> Receipts::get(const std::string& tenant, const Uuid& receipt) {
  const std::string key = keys::receipt(tenant, receipt);
  ASSIGN_OR_RETURN(const auto value, store_.get(key));
  if (!value) return not_found("receipt " + receipt.text());
  auto record = wire::decode<wire::Receipt>(*value);
  if (!record.ok()) return bad_record(key, record.status());
  return record;
}

Status Receipts::check_free(const std::string& tenant, const Uuid& receipt) {
  if (receipt.is_nil()) return invalid_argument("receipt: a UUID that is not nil is needed");
  ASSIGN_OR_RETURN(const auto value, store_.get(keys::receipt(tenant, receipt)));
  if (value) return Status(Code::already_exists, "receipt " + receipt.text());
  return {};
}

Result<wire::ReceiptItemsReply> Receipts::items(const std::string& tenant, const Uuid& receipt,
                                                std::string_view cursor) {
  wire::ReceiptItemsReply reply;
  ASSIGN_OR_RETURN(const wire::Receipt head, get(tenant, receipt));
  if (!cursor.empty() && cursor.size() != 4) return invalid_argument("cursor: not one that a reply gave");
  const std::uint32_t chunk = cursor.empty() ? 0 : load_u32_be(cursor.data());
  if (chunk >= head.chunks) return reply;
  const std::string key = keys::receipt_items(tenant, receipt, chunk);
  ASSIGN_OR_RETURN(const auto value, store_.get(key));
  if (!value) return corrupt("receipt " + receipt.text() + " lacks its items " + std::to_string(chunk));
  auto items = wire::decode_array<wire::ReceiptItem>(*value);
  if (!items.ok()) return bad_record(key, items.status());
  reply.items = *std::move(items);
  if (chunk + 1 < head.chunks) append_u32_be(reply.cursor, chunk + 1);
  return reply;
}

Result<std::vector<wire::Receipt>> Receipts::unfinished() {
  std::vector<wire::Receipt> receipts;
  const std::string table = keys::table(keys::Table::unfinished);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  for (cursor->seek(table); cursor->valid() && cursor->key().starts_with(table); cursor->next()) {
    ASSIGN_OR_RETURN(const keys::Names names, keys::parse_names(cursor->key(), 1));
    ASSIGN_OR_RETURN(const Uuid receipt, keys::uuid_at_end(cursor->key()));
    ASSIGN_OR_RETURN(wire::Receipt head, get(names.names.front(), receipt));
    receipts.push_back(std::move(head));
  }
  RETURN_IF_ERROR(cursor->status());
  return receipts;
}

void Receipts::put(Batch& batch, const wire::Receipt& receipt) {
  batch.put(keys::receipt(receipt.tenant, receipt.receipt), wire::encode(receipt));
  const std::string unfinished = keys::unfinished(receipt.tenant, receipt.receipt);
  if (receipt.finished_us == 0) {
    batch.put(unfinished, {});
  } else {
    batch.remove(unfinished);
  }
}

void Receipts::add_items(Batch& batch, wire::Receipt& receipt, const std::vector<wire::ReceiptItem>& items) {
  const std::string chunk = wire::encode_array(items);
  batch.put(keys::receipt_items(receipt.tenant, receipt.receipt, receipt.chunks), chunk);
  ++receipt.chunks;
  receipt.items = digest(receipt.items, chunk);
}

Hash256 Receipts::digest(const Hash256& before, std::string_view chunk) {
  return blake2b_256(std::string(before.view()).append(chunk));
}

Result<bool> Collected::has_any(const std::string& tenant) {
  const std::string prefix = keys::of_tenant(keys::Table::collected, tenant);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek(prefix);
  RETURN_IF_ERROR(cursor->status());
  return cursor->valid() && cursor->key().starts_with(prefix);
}

Result<std::optional<Collected::Mark>> Collected::find(const std::string& tenant, const Uuid& version) {
  ASSIGN_OR_RETURN(const auto value, store_.get(keys::collected(tenant, version)));
  if (!value) return std::optional<Mark>();
  if (value->size() != 8 + sizeof(Uuid)) return corrupt("a record of table D has another size than 24 bytes");
  Mark mark;
  mark.time_us = load<std::int64_t>(value->data());
  ASSIGN_OR_RETURN(mark.receipt, Uuid::from_bytes(std::string_view(*value).substr(8)));
  return std::optional<Mark>(mark);
}

Status Collected::check(const std::string& tenant, const Uuid& version) {
  ASSIGN_OR_RETURN(const auto mark, find(tenant, version));
  if (!mark) return {};
  return failed_precondition("version " + version.text() + " was collected on " + day_of(mark->time_us) +
                             ": its artefact is gone");
}

Status Collected::fill_in(const std::string& tenant, std::vector<wire::VersionRecord>& versions) {
  ASSIGN_OR_RETURN(const bool any, has_any(tenant));
  if (!any) return {};
  for (wire::VersionRecord& version : versions) {
    ASSIGN_OR_RETURN(const auto mark, find(tenant, version.version));
    if (mark) version.collected_us = mark->time_us;
  }
  return {};
}

void Collected::put(Batch& batch, const std::string& tenant, const Uuid& version, const Uuid& receipt) {
  std::string value;
  append(value, batch.time_us());
  batch.put(keys::collected(tenant, version), value.append(receipt.view()));
}

}  // namespace espalier::registry
