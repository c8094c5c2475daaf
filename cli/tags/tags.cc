#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"

namespace espalier::cli {
namespace {

Status print_tag(client::RegistryClient& registry, const model::NodeName& node, const std::string& tag,
                 const AsOf& as_of, bool as_json) {
  ASSIGN_OR_RETURN(const auto entries, entries_under(registry, node, tag, as_of));
  if (as_json) {
    auto list = nlohmann::json::array();
    for (const wire::TagEntry& entry : entries) list.push_back(entry_json(entry));
    print_json(list);
    return Status();
  }
  Table table({"node", "says", "version", "release", "epoch"});
  for (const wire::TagEntry& entry : entries) {
    table.add({partition_text(entry.partition), std::string(entry_kind_name(entry.kind)),
               entry.version.is_nil() ? "-" : entry.version.text(), entry.release.text(), std::to_string(entry.epoch)});
  }
  print_line(table.rows() > 0 ? table.text() : "the tag " + tag + " says nothing");
  return Status();
}

}  // namespace

Status run_tags(const TagsOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const AsOf asked, parse_as_of(options.as_of));
  ASSIGN_OR_RETURN(const ModelThen then, model_then(*registry, node.tenant, node.model, asked));
  const auto& [model, as_of] = then;
  if (!options.tag.empty()) return print_tag(*registry, node, options.tag, as_of, shared.json);

  ASSIGN_OR_RETURN(const auto releases, releases_of(*registry, node.tenant, node.model, as_of));
  auto list = nlohmann::json::array();
  Table table({"tag", "on", "nodes", "newest release", "made"});
  for (const std::string& tag : model.tags) {
    ASSIGN_OR_RETURN(const auto entries, entries_under(*registry, node, tag, as_of));
    const auto newest =
        std::find_if(releases.begin(), releases.end(), [&](const wire::ReleaseRecord& r) { return r.tag == tag; });
    const bool known = newest != releases.end();
    const auto overlay = std::ranges::find(model.overlays, tag, &wire::Overlay::tag);
    const std::string on = overlay == model.overlays.end() ? std::string() : overlay->on;
    list.push_back({{"tag", tag},
                    {"on", on.empty() ? nlohmann::json(nullptr) : nlohmann::json(on)},
                    {"nodes", entries.size()},
                    {"release", known ? uuid_json(newest->release) : nlohmann::json(nullptr)},
                    {"time_us", known ? newest->time_us : 0}});
    table.add({tag, on.empty() ? "-" : on, count_text(entries.size()), known ? newest->release.text() : "-",
               known ? time_text(newest->time_us) : "-"});
  }
  if (shared.json)
    print_json(list);
  else
    print_line(table.rows() > 0 ? table.text() : "no tags");
  return Status();
}

}  // namespace espalier::cli
