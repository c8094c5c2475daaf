// Runs: a kind whose things change until they end. Their scope is the models that runs name, with or without a version.
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/records/params.h"
#include "registry/search/kinds.h"
#include "registry/search/sources.h"

namespace espalier::registry::search {
namespace {

/// Steps that the records of what changes of a run are worth, beside the one of its start.
constexpr std::size_t kStateCost = 16;

struct RunItem final : Item {
  explicit RunItem(wire::RunRecord is) : record(std::move(is)) {}
  const wire::RunRecord record;
  mutable std::optional<FlatParams> params;  ///< once somebody has asked
};
const RunItem& run(const Item& item) { return static_cast<const RunItem&>(item); }

Value hash(const Hash256& hash) { return hash.is_none() ? Value() : Value(hash.hex()); }
Value time(std::int64_t time_us) { return time_us == 0 ? Value() : Value(static_cast<double>(time_us)); }

template <class Read>
Field of_run(std::string name, Type type, Read read, Access access = Access::none) {
  return {std::move(name), type, access, false,
          [read](const Item& item, std::string_view) -> Result<Value> { return read(run(item).record); }};
}

template <class Read>
Field family(std::string name, Type type, Access access, Read read) {
  return {std::move(name), type, access, true, [read](const Item& item, std::string_view member) -> Result<Value> {
            return read(run(item), std::string(member));
          }};
}

Value metric(const RunItem& item, const std::string& name) {
  const auto found = item.record.metrics.find(name);
  return found == item.record.metrics.end() ? Value() : Value(found->second.value);
}

Value property(const RunItem& item, const std::string& name) {
  const auto found = item.record.properties.find(name);
  return found == item.record.properties.end() ? Value() : Value(found->second);
}

Value param(const RunItem& item, const std::string& name) {
  if (!item.params) {
    item.steps += item.record.params_json.size() / kBytesInStep;
    item.params = flat_params(item.record.params_json);
  }
  const auto found = item.params->find(name);
  if (found == item.params->end()) return {};
  return std::visit([](const auto& value) { return Value(value); }, found->second);
}

Fields run_fields() {
  using Run = wire::RunRecord;
  return {
      of_run("tenant", Type::text, [](const Run& r) { return Value(r.tenant); }),
      of_run("model", Type::text, [](const Run& r) { return Value(r.model); }),
      of_run(
          "run", Type::uuid, [](const Run& r) { return Value(r.run.text()); }, Access::own_uuid),
      of_run(
          "name", Type::text, [](const Run& r) { return text_or_missing(r.name); }, Access::attribute),
      of_run(
          "status", Type::text, [](const Run& r) { return Value(std::string(wire::run_status_name(r.status))); },
          Access::attribute),
      of_run(
          "created", Type::time, [](const Run& r) { return time(r.created_us); }, Access::time),
      of_run(
          "epoch", Type::number, [](const Run& r) { return Value(static_cast<double>(r.epoch)); }, Access::commit),
      of_run("ended", Type::time, [](const Run& r) { return time(r.ended_us); }),
      of_run("seconds", Type::number,
             [](const Run& r) {
               return r.ended_us == 0 ? Value() : Value(static_cast<double>(r.ended_us - r.created_us) * 1e-6);
             }),
      of_run(
          "principal", Type::text, [](const Run& r) { return text_or_missing(r.principal); }, Access::attribute),
      of_run(
          "spec", Type::hash, [](const Run& r) { return hash(r.spec); }, Access::attribute),
      of_run(
          "dataset", Type::hash, [](const Run& r) { return hash(r.dataset); }, Access::attribute),
      of_run("description", Type::text, [](const Run& r) { return text_or_missing(r.description); }),
      of_run("message", Type::text, [](const Run& r) { return text_or_missing(r.message); }),
      family("metrics", Type::number, Access::number, metric),
      family("params", Type::scalar, Access::attribute, param),
      family("properties", Type::text, Access::attribute, property),
  };
}

class RunsKind final : public Kind {
 public:
  std::string_view name() const override { return "runs"; }
  const Fields& fields() const override { return fields_; }
  bool is_of_commits() const override { return true; }

  Status find_scope(Context& context, const Principal& principal, const std::string& tenant,
                    const std::string& model) const override {
    if (!tenant.empty()) {
      ASSIGN_OR_RETURN(const auto erased, context.records.erased.find(tenant));
      if (erased) return {};
    }
    if (!model.empty()) {
      context.scope.push_back({tenant, model});
      return {};
    }
    const std::string range =
        tenant.empty() ? keys::table(keys::Table::run) : keys::of_tenant(keys::Table::run, tenant);
    ASSIGN_OR_RETURN(const auto cursor, context.records.store.scan());
    cursor->seek(range);
    while (cursor->valid() && cursor->key().starts_with(range)) {
      ASSIGN_OR_RETURN(auto names, keys::parse_names(cursor->key(), 2));
      const std::string prefix(cursor->key().substr(0, names.bytes));
      context.steps += kReadCost;
      ASSIGN_OR_RETURN(const auto erased, context.records.erased.find(names.names[0]));
      if (!erased && principal.may_read(names.names[0])) {
        context.scope.push_back({std::move(names.names[0]), std::move(names.names[1])});
      }
      cursor->seek(keys::behind(prefix));
    }
    return cursor->status();
  }

  Result<std::unique_ptr<Source>> open(const Context& context, std::size_t scope, const Path& path,
                                       const Start& start) const override {
    const ModelName& model = context.scope[scope];
    switch (path.access) {
      case Access::number: return runs_by_number(context, model, path, start);
      case Access::attribute: return runs_by_attribute(context, model, path, start);
      case Access::own_uuid: return runs_by_uuid(context, model, path, start);
      default:
        return records_by_commit(context, keys::of_model(keys::Table::run, model.tenant, model.model), path, start);
    }
  }

  Result<std::unique_ptr<Item>> load(const Context& context, const Candidate& candidate) const override {
    const ModelName& model = context.scope[candidate.scope];
    const std::string key = keys::of_model(keys::Table::run, model.tenant, model.model) + candidate.place;
    std::optional<std::string> bytes = candidate.record;
    if (!bytes) {
      ASSIGN_OR_RETURN(bytes, context.records.store.get(key));
    }
    if (!bytes) return std::unique_ptr<Item>();
    context.steps += kStateCost + bytes->size() / kBytesInStep;
    ASSIGN_OR_RETURN(auto record, context.records.runs.told(key, *bytes, context.epoch));
    if (!record) return std::unique_ptr<Item>();
    // What changes of it: about as much as a step for each metric.
    context.steps += record->params_json.size() / kBytesInStep + record->metrics.size();
    return std::unique_ptr<Item>(std::make_unique<RunItem>(*std::move(record)));
  }

  Result<std::string> record_of(const Context&, const Item& item) const override {
    return wire::encode(run(item).record);
  }

  /// Metrics: those that run are looked for one by one. After very many ends since the epoch that would take too long.
  Result<bool> is_whole(const Context& context, std::size_t scope, const Path& path) const override {
    const bool needs_running = path.access == Access::number ? path.text.empty() : path.name == "status";
    if (!needs_running) return true;
    return are_few_running(context, context.scope[scope]);
  }

  bool gives_order(Access access, bool& backwards) const override {
    backwards = access != Access::number;
    return access == Access::number || access == Access::commit || access == Access::time;
  }

 private:
  const Fields fields_ = run_fields();
};

}  // namespace

const Kind& runs_kind() {
  static const RunsKind kind;
  return kind;
}

}  // namespace espalier::registry::search
