// Nodes, models and tenants; and the list of all kinds.
#include <algorithm>
#include <array>

#include "registry/keys.h"
#include "registry/search/kinds.h"
#include "registry/search/sources.h"

namespace espalier::registry::search {
namespace {

// ----------------------------------------------------------------------------------------------------------- nodes

struct NodeItem final : Item {
  NodeItem(const Context& in, const ModelName& of, std::string at, wire::NodeRecord is)
      : context(in), model(of), components(std::move(at)), record(std::move(is)) {}
  const Context& context;
  const ModelName& model;
  const std::string components;
  const wire::NodeRecord record;
};
const NodeItem& node(const Item& item) { return static_cast<const NodeItem&>(item); }

template <class Read>
Field of_node(std::string name, Type type, Read read) {
  return {std::move(name), type, Access::none, false,
          [read](const Item& item, std::string_view) -> Result<Value> { return read(node(item)); }};
}

Result<Value> node_partition(const Item& item, std::string_view) {
  ASSIGN_OR_RETURN(const auto partition, model::Partition::from_values(node(item).record.partition));
  return Value(partition.text());
}

Result<Value> node_tagged(const Item& item, std::string_view tag) {
  const NodeItem& of = node(item);
  of.context.steps += kReadCost;
  const std::string prefix = keys::node(keys::tag_prefix(of.model.tenant, of.model.model, tag), of.components);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(of.context.records.store, prefix, of.context.epoch));
  if (!dated) return Value();
  auto entry = decode_entry(dated->value);
  if (!entry.ok()) return bad_record(prefix, entry.status());
  return entry->kind == wire::EntryKind::unset ? Value() : Value(1.0);
}

Fields node_fields() {
  return {
      of_node("tenant", Type::text, [](const NodeItem& n) { return Value(n.model.tenant); }),
      of_node("model", Type::text, [](const NodeItem& n) { return Value(n.model.model); }),
      {"partition", Type::partition, Access::partition, false, node_partition},
      of_node("level", Type::text,
              [](const NodeItem& n) { return n.record.level.empty() ? Value() : Value(n.record.level); }),
      of_node("versions", Type::number, [](const NodeItem& n) { return number(n.record.versions); }),
      of_node("version", Type::uuid, [](const NodeItem& n) { return Value(n.record.version.text()); }),
      of_node("created", Type::time, [](const NodeItem& n) { return Value(static_cast<double>(n.record.created_us)); }),
      of_node("epoch", Type::number, [](const NodeItem& n) { return number(n.record.epoch); }),
      {"tag", Type::tag, Access::none, false, node_tagged},
  };
}

class NodesKind final : public Kind {
 public:
  std::string_view name() const override { return "nodes"; }
  const Fields& fields() const override { return fields_; }

  Result<std::unique_ptr<Source>> open(const Context& context, std::size_t scope, const Path& path,
                                       const Start& start) const override {
    return nodes_by_partition(context, context.scope[scope], path, start);
  }

  Result<std::unique_ptr<Item>> load(const Context& context, const Candidate& candidate) const override {
    const ModelName& model = context.scope[candidate.scope];
    const std::string prefix = keys::versions_prefix(model.tenant, model.model);
    const std::string begin = keys::node_at(prefix, candidate.place, context.epoch);
    const std::string end = keys::behind(keys::node(prefix, candidate.place));
    ASSIGN_OR_RETURN(Range range, Range::open(context.records.store, begin, end, false));
    wire::NodeRecord record;
    for (; range.valid(); range.next()) {
      ++context.steps;
      if (record.versions++ > 0) continue;
      auto newest = wire::decode<wire::VersionRecord>(range.value());
      if (!newest.ok()) return bad_record(range.key(), newest.status());
      record.partition = newest->partition;
      record.version = newest->version;
      record.created_us = newest->created_us;
      record.epoch = newest->epoch;
    }
    RETURN_IF_ERROR(range.status());
    if (record.versions == 0) return std::unique_ptr<Item>();
    ASSIGN_OR_RETURN(record.level, context.level(model, record.partition.size()));
    return std::unique_ptr<Item>(std::make_unique<NodeItem>(context, model, candidate.place, std::move(record)));
  }

  Result<std::string> record_of(const Context&, const Item& item) const override {
    return wire::encode(node(item).record);
  }
  bool gives_order(Access, bool&) const override { return false; }

 private:
  const Fields fields_ = node_fields();
};

// ---------------------------------------------------------------------------------------------------------- models

struct ModelItem final : Item {
  explicit ModelItem(wire::ModelRecord is) : record(std::move(is)) {}
  const wire::ModelRecord record;
};
const wire::ModelRecord& model_of(const Item& item) { return static_cast<const ModelItem&>(item).record; }

template <class Read>
Field of_model(std::string name, Type type, Read read) {
  return {std::move(name), type, Access::none, false,
          [read](const Item& item, std::string_view) -> Result<Value> { return read(model_of(item)); }};
}

Fields model_fields() {
  return {
      of_model("tenant", Type::text, [](const wire::ModelRecord& m) { return Value(m.tenant); }),
      of_model("model", Type::text, [](const wire::ModelRecord& m) { return Value(m.model); }),
      of_model("task", Type::text,
               [](const wire::ModelRecord& m) { return Value(std::string(model::task_name(m.task))); }),
      of_model("spec", Type::hash, [](const wire::ModelRecord& m) { return Value(m.spec.hex()); }),
      of_model("levels", Type::number, [](const wire::ModelRecord& m) { return number(m.levels.size()); }),
      of_model("fields", Type::number, [](const wire::ModelRecord& m) { return number(m.fields.size()); }),
      {"tag", Type::tag, Access::none, false,
       [](const Item& item, std::string_view tag) -> Result<Value> {
         const auto& tags = model_of(item).tags;
         return std::ranges::find(tags, tag) == tags.end() ? Value() : Value(1.0);
       }},
  };
}

class ModelsKind final : public Kind {
 public:
  std::string_view name() const override { return "models"; }
  const Fields& fields() const override { return fields_; }
  Result<std::unique_ptr<Source>> open(const Context&, std::size_t, const Path&, const Start& start) const override {
    return only_one(start);
  }
  Result<std::unique_ptr<Item>> load(const Context& context, const Candidate& candidate) const override {
    const ModelName& name = context.scope[candidate.scope];
    ASSIGN_OR_RETURN(auto record, context.records.models.find(name.tenant, name.model, context.epoch));
    if (!record) return std::unique_ptr<Item>();
    return std::unique_ptr<Item>(std::make_unique<ModelItem>(*std::move(record)));
  }
  Result<std::string> record_of(const Context&, const Item& item) const override {
    return wire::encode(model_of(item));
  }
  bool gives_order(Access, bool&) const override { return false; }

 private:
  const Fields fields_ = model_fields();
};

// --------------------------------------------------------------------------------------------------------- tenants

struct TenantItem final : Item {
  explicit TenantItem(wire::TenantRecord is) : record(std::move(is)) {}
  const wire::TenantRecord record;
};

/// A tenant is found where its first model is.
class TenantsKind final : public Kind {
 public:
  std::string_view name() const override { return "tenants"; }
  const Fields& fields() const override { return fields_; }
  Result<std::unique_ptr<Source>> open(const Context& context, std::size_t scope, const Path&,
                                       const Start& start) const override {
    const auto& models = context.scope;
    if (scope > 0 && models[scope - 1].tenant == models[scope].tenant) return only_one({Start::At::behind_tail, {}});
    return only_one(start);
  }
  Result<std::unique_ptr<Item>> load(const Context& context, const Candidate& candidate) const override {
    wire::TenantRecord record;
    record.tenant = context.scope[candidate.scope].tenant;
    for (std::size_t i = candidate.scope; i < context.scope.size() && context.scope[i].tenant == record.tenant; ++i) {
      ++record.models;
    }
    return std::unique_ptr<Item>(std::make_unique<TenantItem>(std::move(record)));
  }
  Result<std::string> record_of(const Context&, const Item& item) const override {
    return wire::encode(static_cast<const TenantItem&>(item).record);
  }
  bool gives_order(Access, bool&) const override { return false; }

 private:
  const Fields fields_ = {
      {"tenant", Type::text, Access::none, false,
       [](const Item& item, std::string_view) -> Result<Value> {
         return Value(static_cast<const TenantItem&>(item).record.tenant);
       }},
      {"models", Type::number, Access::none, false,
       [](const Item& item, std::string_view) -> Result<Value> {
         return number(static_cast<const TenantItem&>(item).record.models);
       }},
  };
};

}  // namespace

Result<std::string> Context::level(const ModelName& model, std::size_t depth) const {
  if (depth == 0) return std::string("global");
  auto known = levels.find(model);
  if (known == levels.end()) {
    ASSIGN_OR_RETURN(const auto record, records.models.find(model.tenant, model.model, epoch));
    known = levels.emplace(model, record ? record->levels : std::vector<std::string>()).first;
  }
  return depth <= known->second.size() ? known->second[depth - 1] : std::string();
}

const Kind& nodes_kind() {
  static const NodesKind kind;
  return kind;
}

const Kind& models_kind() {
  static const ModelsKind kind;
  return kind;
}

const Kind& tenants_kind() {
  static const TenantsKind kind;
  return kind;
}

Result<const Kind*> find_kind(std::string_view name) {
  const std::array<const Kind*, 7> kinds = {&versions_kind(), &releases_kind(), &nodes_kind(),   &models_kind(),
                                            &tenants_kind(),  &runs_kind(),     &datasets_kind()};
  std::string names;
  for (const Kind* kind : kinds) {
    if (kind->name() == name) return kind;
    names.append(names.empty() ? "" : ", ").append(kind->name());
  }
  return invalid_argument("kind: no '" + std::string(name) + "'; there are " + names);
}

}  // namespace espalier::registry::search
