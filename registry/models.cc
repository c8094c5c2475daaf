#include "registry/models.h"

#include <algorithm>
#include <unordered_map>

#include "common/bytes.h"
#include "registry/keys.h"

namespace espalier::registry {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text = "[";
  for (const auto& name : names) text.append(text.size() > 1 ? ", " : "").append(name);
  return text + "]";
}

Status check_field_name(const std::string& name, std::size_t place) {
  const std::string where = "fields[" + std::to_string(place) + "].name";
  if (name.empty()) return invalid_argument(where + ": empty");
  if (name.size() > kMaxFieldNameBytes) {
    return invalid_argument(where + ": " + std::to_string(name.size()) + " bytes, at most " +
                            std::to_string(kMaxFieldNameBytes) + " are allowed");
  }
  if (!is_utf8(name)) return invalid_argument(where + ": not UTF-8");
  return {};
}

}  // namespace

Result<std::vector<model::Field>> evolve_schema(const std::vector<model::Field>& existing,
                                                const std::vector<model::Field>& proposed) {
  std::vector<model::Field> evolved = existing;
  std::unordered_map<std::string, model::FieldType> types;
  for (const auto& field : existing) types.emplace(field.name, field.type);
  std::unordered_map<std::string, std::size_t> named;
  for (std::size_t i = 0; i < proposed.size(); ++i) {
    const model::Field& field = proposed[i];
    RETURN_IF_ERROR(check_field_name(field.name, i));
    if (!named.emplace(field.name, i).second) {
      return invalid_argument("fields[" + std::to_string(i) + "].name: " + field.name + " is named twice");
    }
    const auto [known, is_new] = types.emplace(field.name, field.type);
    if (is_new) evolved.push_back(field);
    if (known->second != field.type) {
      return failed_precondition("fields[" + std::to_string(i) + "].type: " + field.name + " is a " +
                                 std::string(model::field_type_name(known->second)) +
                                 " in the model's input schema, which only grows");
    }
  }
  if (evolved.size() > kMaxFields) {
    return invalid_argument("fields: the input schema would have " + std::to_string(evolved.size()) +
                            " fields, at most " + std::to_string(kMaxFields) + " are allowed");
  }
  return evolved;
}

Result<std::vector<std::string>> evolve_levels(const std::vector<std::string>& existing,
                                               const std::vector<std::string>& proposed) {
  const std::size_t common = std::min(existing.size(), proposed.size());
  if (!std::equal(existing.begin(), existing.begin() + static_cast<std::ptrdiff_t>(common), proposed.begin())) {
    return failed_precondition("spec.levels: " + listed(proposed) + ", but the model has " + listed(existing) +
                               "; levels can only be appended");
  }
  return existing.size() >= proposed.size() ? existing : proposed;
}

Result<std::optional<wire::ModelRecord>> Models::find(const std::string& tenant, const std::string& model,
                                                      std::uint64_t epoch) {
  const std::string prefix = keys::model_prefix(tenant, model);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(store_, prefix, epoch));
  // Empty: as of then it wasn't there (docs/moving.md).
  if (!dated || dated->value.empty()) return std::optional<wire::ModelRecord>();
  auto record = wire::decode<wire::ModelRecord>(dated->value);
  if (!record.ok()) return bad_record(prefix, record.status());
  return std::optional<wire::ModelRecord>(*std::move(record));
}

Result<wire::ModelRecord> Models::get(const std::string& tenant, const std::string& model, std::uint64_t epoch) {
  ASSIGN_OR_RETURN(auto record, find(tenant, model, epoch));
  if (!record) return not_found("model " + tenant + "/" + model);
  return *std::move(record);
}

Result<wire::ModelsReply> Models::page(const wire::ModelsRequest& request, const PageCursor& page, std::uint64_t epoch,
                                       const std::function<bool(std::string_view)>& may_read) {
  wire::ModelsReply reply;
  reply.epoch = epoch;
  if (!request.model.empty()) {
    ASSIGN_OR_RETURN(auto record, get(request.tenant, request.model, epoch));
    reply.models.push_back(std::move(record));
    return reply;
  }
  std::string range = keys::table(keys::Table::model);
  if (!request.tenant.empty()) model::append_component(range, request.tenant);
  ASSIGN_OR_RETURN(const auto cursor, store_.scan());
  cursor->seek(page.position.empty() ? range : keys::behind(range + page.position));
  std::string prefix;
  for (; cursor->valid() && cursor->key().starts_with(range); cursor->seek(keys::behind(prefix))) {
    prefix = cursor->key().substr(0, cursor->key().size() - sizeof(std::uint64_t));
    ASSIGN_OR_RETURN(const auto names, model::split_components(std::string_view(prefix).substr(1)));
    if (names.size() != 2) return corrupt("a key of table M does not name tenant and model");
    if (!may_read(names[0])) continue;
    if (reply.models.size() == page_size(request.limit)) return reply;
    ASSIGN_OR_RETURN(auto record, find(names[0], names[1], epoch));
    if (!record) continue;
    reply.models.push_back(*std::move(record));
    // Pages are full or the last: a page that is full at the end of the table costs one empty page.
    if (reply.models.size() == page_size(request.limit)) {
      reply.cursor = PageCursor{epoch, prefix.substr(range.size())}.text();
    }
  }
  RETURN_IF_ERROR(cursor->status());
  reply.cursor.clear();
  return reply;
}

void Models::put(Batch& batch, const wire::ModelRecord& record) {
  batch.put(keys::model(record.tenant, record.model, batch.epoch()), wire::encode(record));
}

}  // namespace espalier::registry
