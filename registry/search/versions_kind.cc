// Versions and releases: kinds with indexes.
#include <nlohmann/json.hpp>

#include "registry/keys.h"
#include "registry/search/index.h"
#include "registry/search/kinds.h"
#include "registry/search/sources.h"
#include "registry/search/version_item.h"

namespace espalier::registry::search {
namespace {

using nlohmann::json;

Value uuid(const Uuid& value) { return value.is_nil() ? Value() : Value(value.text()); }

/// Number or text `name` of an object; `a.b` is also `b` within `a`.
Value member(const json& object, std::string_view name) {
  if (!object.is_object()) return {};
  const auto found = object.find(std::string(name));
  if (found != object.end()) {
    if (found->is_number()) return found->get<double>();
    if (found->is_string()) return found->get<std::string>();
    return {};
  }
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return {};
  const auto inner = object.find(std::string(name.substr(0, dot)));
  return inner == object.end() ? Value() : member(*inner, name.substr(dot + 1));
}

const json& parsed(const Item& item, std::unique_ptr<json>& kept, const std::string& text) {
  if (!kept) {
    item.steps += text.size() / kBytesInStep;
    kept = std::make_unique<json>(json::parse(text, nullptr, false));
  }
  return *kept;
}

const VersionItem& version(const Item& item) { return static_cast<const VersionItem&>(item); }

Result<Value> level_of(const Item& item, std::string_view) {
  const VersionItem& of = version(item);
  ASSIGN_OR_RETURN(std::string level, of.context.level(of.model, of.record.partition.size()));
  return text_or_missing(std::move(level));
}

Result<Value> partition_of(const Item& item, std::string_view) {
  ASSIGN_OR_RETURN(const auto partition, model::Partition::from_values(version(item).record.partition));
  return Value(partition.text());
}

/// Whether the tag itself points at the version.
Result<Value> tagged(const Item& item, std::string_view tag) {
  const VersionItem& of = version(item);
  if (!of.tag.empty() && of.tag == tag) return Value(1.0);
  of.context.steps += kReadCost;
  const std::string node = keys::node(keys::tag_prefix(of.model.tenant, of.model.model, tag), of.components);
  ASSIGN_OR_RETURN(const auto dated, newest_as_of(of.context.records.store, node, of.context.epoch));
  if (!dated) return Value();
  auto entry = decode_entry(dated->value);
  if (!entry.ok()) return bad_record(node, entry.status());
  const bool here = entry->kind == wire::EntryKind::version && entry->version == of.record.version;
  return here ? Value(1.0) : Value();
}

template <class Read>
Field of_version(std::string name, Type type, Read read, Access access = Access::none) {
  return {std::move(name), type, access, false,
          [read](const Item& item, std::string_view) -> Result<Value> { return read(version(item)); }};
}

Fields version_fields() {
  Fields fields = {
      of_version("tenant", Type::text, [](const VersionItem& v) { return Value(v.model.tenant); }),
      of_version("model", Type::text, [](const VersionItem& v) { return Value(v.model.model); }),
      of_version(
          "version", Type::uuid, [](const VersionItem& v) { return uuid(v.record.version); }, Access::own_uuid),
      of_version(
          "release", Type::uuid, [](const VersionItem& v) { return uuid(v.record.release); }, Access::release),
      of_version("parent", Type::uuid, [](const VersionItem& v) { return uuid(v.record.parent); }),
      {"partition", Type::partition, Access::partition, false, partition_of},
      {"level", Type::text, Access::none, false, level_of},
      of_version(
          "created", Type::time, [](const VersionItem& v) { return Value(static_cast<double>(v.record.created_us)); },
          Access::time),
      of_version(
          "epoch", Type::number, [](const VersionItem& v) { return number(v.record.epoch); }, Access::commit),
      of_version("rows", Type::number, [](const VersionItem& v) { return number(v.record.rows); }),
      of_version("artefact_bytes", Type::number, [](const VersionItem& v) { return number(v.record.artefact_bytes); }),
      of_version(
          "principal", Type::text, [](const VersionItem& v) { return text_or_missing(v.record.principal); },
          Access::attribute),
      of_version(
          "run", Type::text,
          [](const VersionItem& v) { return text_or_missing(top_text(v.record.lineage_json, "run")); },
          Access::attribute),
      of_version(
          "spec", Type::hash, [](const VersionItem& v) { return Value(v.record.spec.hex()); }, Access::attribute),
      of_version("artefact", Type::hash, [](const VersionItem& v) { return Value(v.record.artefact.hex()); }),
      of_version("description", Type::text, [](const VersionItem& v) { return text_or_missing(v.record.description); }),
      {"tag", Type::tag, Access::tag, false, tagged},
  };
  fields.push_back(
      {"metrics", Type::number, Access::number, true, [](const Item& item, std::string_view name) -> Result<Value> {
         const VersionItem& v = version(item);
         const Value found = member(parsed(v, v.metrics, v.record.metrics_json), name);
         return std::holds_alternative<double>(found) ? found : Value();
       }});
  fields.push_back(
      {"properties", Type::text, Access::attribute, true, [](const Item& item, std::string_view name) -> Result<Value> {
         const auto& properties = version(item).record.properties;
         const auto found = properties.find(std::string(name));
         return found == properties.end() ? Value() : Value(found->second);
       }});
  fields.push_back(
      {"params", Type::scalar, Access::none, true, [](const Item& item, std::string_view name) -> Result<Value> {
         const VersionItem& v = version(item);
         const json& lineage = parsed(v, v.lineage, v.record.lineage_json);
         const auto params = lineage.is_object() ? lineage.find("params") : lineage.end();
         return params == lineage.end() ? Value() : member(*params, name);
       }});
  return fields;
}

class VersionsKind final : public Kind {
 public:
  std::string_view name() const override { return "versions"; }
  const Fields& fields() const override { return fields_; }

  Result<std::unique_ptr<Source>> open(const Context& context, std::size_t scope, const Path& path,
                                       const Start& start) const override {
    const ModelName& model = context.scope[scope];
    switch (path.access) {
      case Access::number: return versions_by_number(context, model, path, start);
      case Access::commit:
      case Access::time:
      case Access::attribute:
      case Access::release: return versions_by_commit(context, model, path, start);
      case Access::own_uuid: return versions_by_uuid(context, model, path, start);
      case Access::tag: return versions_by_tag(context, model, path, start);
      default: return versions_by_partition(context, model, path, start);
    }
  }

  Result<std::unique_ptr<Item>> load(const Context& context, const Candidate& candidate) const override {
    const ModelName& model = context.scope[candidate.scope];
    const std::string prefix = keys::versions_prefix(model.tenant, model.model);
    const std::string key = prefix + candidate.place;
    ASSIGN_OR_RETURN(const keys::VersionKey parsed, keys::parse_version(key, prefix.size()));
    std::optional<std::string> bytes = candidate.record;
    if (!bytes) {
      ASSIGN_OR_RETURN(bytes, context.records.store.get(key));
    }
    if (!bytes) return std::unique_ptr<Item>();
    auto record = wire::decode<wire::VersionRecord>(*bytes);
    if (!record.ok()) return bad_record(key, record.status());
    auto item = std::make_unique<VersionItem>(context, model, parsed.components, *std::move(record));
    item->tag = candidate.tag;
    return std::unique_ptr<Item>(std::move(item));
  }

  Result<std::string> record_of(const Context&, const Item& item) const override {
    return wire::encode(version(item).record);
  }

  /// Metrics: whether every version's has an entry.
  Result<bool> is_whole(const Context& context, std::size_t scope, const Path& path) const override {
    if (path.access != Access::number) return true;
    if (!is_indexed_name(path.name)) return false;
    const ModelName& model = context.scope[scope];
    const std::string prefix = keys::index_prefix(model.tenant, model.model, keys::Index::left_out);
    ASSIGN_OR_RETURN(const auto mark, context.records.store.get(keys::index_left_out(prefix, path.name)));
    return !mark;
  }

  bool gives_order(Access access, bool& backwards) const override {
    backwards = false;
    return access == Access::number || access == Access::commit || access == Access::time;
  }

 private:
  const Fields fields_ = version_fields();
};

// -------------------------------------------------------------------------------------------------------- releases

struct ReleaseItem final : Item {
  ReleaseItem(const ModelName& of, wire::ReleaseRecord is) : model(of), record(std::move(is)) {}
  const ModelName& model;
  const wire::ReleaseRecord record;
};

template <class Read>
Field of_release(std::string name, Type type, Read read, Access access = Access::none) {
  return {std::move(name), type, access, false, [read](const Item& item, std::string_view) -> Result<Value> {
            return read(static_cast<const ReleaseItem&>(item));
          }};
}

Fields release_fields() {
  return {
      of_release("tenant", Type::text, [](const ReleaseItem& r) { return Value(r.model.tenant); }),
      of_release("model", Type::text, [](const ReleaseItem& r) { return Value(r.model.model); }),
      of_release(
          "release", Type::uuid, [](const ReleaseItem& r) { return uuid(r.record.release); }, Access::own_uuid),
      of_release(
          "epoch", Type::number, [](const ReleaseItem& r) { return number(r.record.epoch); }, Access::commit),
      of_release(
          "created", Type::time, [](const ReleaseItem& r) { return Value(static_cast<double>(r.record.time_us)); },
          Access::time),
      of_release(
          "tag", Type::text, [](const ReleaseItem& r) { return text_or_missing(r.record.tag); }, Access::attribute),
      of_release(
          "principal", Type::text, [](const ReleaseItem& r) { return text_or_missing(r.record.principal); },
          Access::attribute),
      of_release("note", Type::text, [](const ReleaseItem& r) { return text_or_missing(r.record.note); }),
      of_release("moved", Type::number, [](const ReleaseItem& r) { return number(r.record.moved); }),
      of_release(
          "run", Type::text, [](const ReleaseItem& r) { return text_or_missing(top_text(r.record.run_json, "run")); },
          Access::attribute),
  };
}

class ReleasesKind final : public Kind {
 public:
  std::string_view name() const override { return "releases"; }
  const Fields& fields() const override { return fields_; }

  Result<std::unique_ptr<Source>> open(const Context& context, std::size_t scope, const Path& path,
                                       const Start& start) const override {
    const ModelName& model = context.scope[scope];
    if (path.access == Access::own_uuid) return releases_by_uuid(context, model, path, start);
    if (path.access == Access::attribute) return releases_by_attribute(context, model, path, start);
    return releases_by_commit(context, model, path, start);
  }

  Result<std::unique_ptr<Item>> load(const Context& context, const Candidate& candidate) const override {
    const ModelName& model = context.scope[candidate.scope];
    const std::string key = keys::releases_prefix(model.tenant, model.model) + candidate.place;
    std::optional<std::string> bytes = candidate.record;
    if (!bytes) {
      ASSIGN_OR_RETURN(bytes, context.records.store.get(key));
    }
    if (!bytes) return std::unique_ptr<Item>();
    auto record = wire::decode<wire::ReleaseRecord>(*bytes);
    if (!record.ok()) return bad_record(key, record.status());
    return std::unique_ptr<Item>(std::make_unique<ReleaseItem>(model, *std::move(record)));
  }

  Result<std::string> record_of(const Context&, const Item& item) const override {
    return wire::encode(static_cast<const ReleaseItem&>(item).record);
  }

  bool gives_order(Access access, bool& backwards) const override {
    backwards = true;
    return access == Access::commit || access == Access::time;
  }

 private:
  const Fields fields_ = release_fields();
};

}  // namespace

VersionItem::VersionItem(const Context& in, const ModelName& of, std::string_view components, wire::VersionRecord is)
    : context(in), model(of), components(components), record(std::move(is)) {}

VersionItem::~VersionItem() = default;

const Kind& versions_kind() {
  static const VersionsKind kind;
  return kind;
}

const Kind& releases_kind() {
  static const ReleasesKind kind;
  return kind;
}

}  // namespace espalier::registry::search
