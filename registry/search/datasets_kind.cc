// Datasets: a kind whose things belong to a tenant, not to a model.
#include "registry/keys.h"
#include "registry/reading.h"
#include "registry/search/kinds.h"
#include "registry/search/sources.h"

namespace espalier::registry::search {
namespace {

struct DatasetItem final : Item {
  explicit DatasetItem(wire::DatasetRecord is) : record(std::move(is)) {}
  const wire::DatasetRecord record;
};
const wire::DatasetRecord& dataset(const Item& item) { return static_cast<const DatasetItem&>(item).record; }

Value text_or_missing(std::string text) { return text.empty() ? Value() : Value(std::move(text)); }

template <class Read>
Field of_dataset(std::string name, Type type, Read read, Access access = Access::none) {
  return {std::move(name), type, access, false,
          [read](const Item& item, std::string_view) -> Result<Value> { return read(dataset(item)); }};
}

Fields dataset_fields() {
  using Dataset = wire::DatasetRecord;
  const auto number = [](auto value) { return Value(static_cast<double>(value)); };
  return {
      of_dataset("tenant", Type::text, [](const Dataset& d) { return Value(d.tenant); }),
      of_dataset(
          "dataset", Type::hash, [](const Dataset& d) { return Value(d.dataset.hex()); }, Access::attribute),
      of_dataset(
          "source", Type::text, [](const Dataset& d) { return text_or_missing(d.source); }, Access::attribute),
      of_dataset(
          "file", Type::hash, [](const Dataset& d) { return d.file.is_none() ? Value() : Value(d.file.hex()); },
          Access::attribute),
      of_dataset("where", Type::text, [](const Dataset& d) { return text_or_missing(d.where); }),
      of_dataset("rows", Type::number, [number](const Dataset& d) { return number(d.rows); }),
      of_dataset("columns", Type::number, [number](const Dataset& d) { return number(d.columns.size()); }),
      of_dataset("first", Type::text, [](const Dataset& d) { return text_or_missing(d.first); }),
      of_dataset("last", Type::text, [](const Dataset& d) { return text_or_missing(d.last); }),
      of_dataset(
          "created", Type::time, [number](const Dataset& d) { return number(d.created_us); }, Access::time),
      of_dataset(
          "epoch", Type::number, [number](const Dataset& d) { return number(d.epoch); }, Access::commit),
      of_dataset(
          "principal", Type::text, [](const Dataset& d) { return text_or_missing(d.principal); }, Access::attribute),
      {"properties", Type::text, Access::attribute, true,
       [](const Item& item, std::string_view name) -> Result<Value> {
         const auto found = dataset(item).properties.find(std::string(name));
         return found == dataset(item).properties.end() ? Value() : Value(found->second);
       }},
  };
}

class DatasetsKind final : public Kind {
 public:
  std::string_view name() const override { return "datasets"; }
  const Fields& fields() const override { return fields_; }
  bool is_of_commits() const override { return true; }

  Status find_scope(Context& context, const Principal& principal, const std::string& tenant,
                    const std::string& model) const override {
    if (!model.empty()) return invalid_argument("model: a dataset belongs to its tenant, not to a model");
    if (!tenant.empty()) {
      ASSIGN_OR_RETURN(const auto erased, context.records.erased.find(tenant));
      if (erased) return {};
      context.scope.push_back({tenant, {}});
      return {};
    }
    const std::string table = keys::table(keys::Table::dataset);
    ASSIGN_OR_RETURN(const auto cursor, context.records.store.scan());
    cursor->seek(table);
    while (cursor->valid() && cursor->key().starts_with(table)) {
      ASSIGN_OR_RETURN(auto names, keys::parse_names(cursor->key(), 1));
      const std::string prefix(cursor->key().substr(0, names.bytes));
      context.steps += kReadCost;
      ASSIGN_OR_RETURN(const auto erased, context.records.erased.find(names.names[0]));
      if (!erased && principal.may_read(names.names[0])) context.scope.push_back({std::move(names.names[0]), {}});
      cursor->seek(keys::behind(prefix));
    }
    return cursor->status();
  }

  Result<std::unique_ptr<Source>> open(const Context& context, std::size_t scope, const Path& path,
                                       const Start& start) const override {
    const ModelName& tenant = context.scope[scope];
    if (path.access == Access::none) return datasets_by_fingerprint(context, tenant, start);
    return datasets_by_entry(context, tenant, path, start);
  }

  Result<std::unique_ptr<Item>> load(const Context& context, const Candidate& candidate) const override {
    ASSIGN_OR_RETURN(const Hash256 fingerprint, Hash256::from_bytes(candidate.place));
    const std::string& tenant = context.scope[candidate.scope].tenant;
    std::optional<std::string> bytes = candidate.record;
    if (!bytes) {
      const std::string prefix = keys::dataset(tenant, fingerprint);
      ASSIGN_OR_RETURN(auto dated, newest_as_of(context.records.store, prefix, context.epoch));
      if (!dated) return std::unique_ptr<Item>();
      bytes = std::move(dated->value);
    }
    // It may be megabytes of columns.
    context.steps += bytes->size() / kBytesInStep;
    auto read = wire::decode<wire::DatasetRecord>(*bytes);
    if (!read.ok()) return bad_record(keys::table(keys::Table::dataset), read.status());
    return std::unique_ptr<Item>(std::make_unique<DatasetItem>(*std::move(read)));
  }

  /// Without its columns, which may be many: `datasets` tells them.
  Result<std::string> record_of(const Context&, const Item& item) const override {
    wire::DatasetRecord record = dataset(item);
    record.columns.clear();
    return wire::encode(record);
  }

  bool gives_order(Access access, bool& backwards) const override {
    backwards = true;
    return access == Access::commit || access == Access::time;
  }

 private:
  const Fields fields_ = dataset_fields();
};

}  // namespace

const Kind& datasets_kind() {
  static const DatasetsKind kind;
  return kind;
}

}  // namespace espalier::registry::search
