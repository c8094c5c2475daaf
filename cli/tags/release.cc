#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/tags/tag_commands.h"

namespace espalier::cli {
namespace {

using nlohmann::json;

Result<Uuid> parse_release(const std::string& text) {
  auto release = Uuid::parse(text);
  if (!release.ok()) return release.status().at("release");
  return release;
}

// "data.fingerprint 12ab", one line a value; arrays of the run's stages in JSON.
void print_members(const json& object, const std::string& indent) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) {
      print_line(indent + name);
      print_members(value, indent + "  ");
    } else {
      print_line(indent + name + "  " + (value.is_string() ? value.get<std::string>() : value.dump()));
    }
  }
}

}  // namespace

Status run_release_list(const ReleaseOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const AsOf as_of, parse_as_of(options.as_of));
  ASSIGN_OR_RETURN(const auto releases, releases_of(*registry, node.tenant, node.model, as_of));
  if (shared.json) {
    auto list = json::array();
    for (const wire::ReleaseRecord& release : releases) list.push_back(release_json(release));
    print_json(list);
    return Status();
  }
  Table table({"release", "made", "tag", "nodes", "epoch", "note"});
  for (const wire::ReleaseRecord& release : releases) {
    table.add({release.release.text(), time_text(release.time_us), release.tag, count_text(release.moved),
               std::to_string(release.epoch), release.note});
  }
  print_line(table.rows() > 0 ? table.text() : "no releases");
  return Status();
}

Status run_release_show(const ReleaseOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
  wire::ReleasesRequest request;
  request.tenant = node.tenant;
  request.model = node.model;
  request.limit = 1;
  ASSIGN_OR_RETURN(const AsOf as_of, parse_as_of(options.as_of));
  request.epoch = as_of.epoch;
  request.time_us = as_of.time_us;
  if (!options.release.empty()) {
    ASSIGN_OR_RETURN(request.release, parse_release(options.release));
  }
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::ReleasesReply reply, registry->call(request));
  if (reply.releases.empty()) return not_found("no such release of " + node.text());
  const wire::ReleaseRecord& release = reply.releases.front();
  if (shared.json) {
    print_json(release_json(release));
    return Status();
  }
  print_line("release  " + release.release.text());
  print_line("made     " + time_text(release.time_us) + " by " + (release.principal.empty() ? "-" : release.principal));
  print_line("tag      " + release.tag);
  print_line("nodes    " + count_text(release.moved));
  print_line("epoch    " + std::to_string(release.epoch));
  if (!release.note.empty()) print_line("note     " + release.note);
  const json run = embedded_json(release.run_json);
  if (run.is_object() && !run.empty()) {
    print_line("run");
    print_members(run, "  ");
  }
  return Status();
}

Status run_release_move(const ReleaseOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
  wire::MoveRequest request;
  ASSIGN_OR_RETURN(request.from_release, parse_release(options.release));
  request.idem = new_uuid();
  request.release = new_uuid();
  request.tenant = node.tenant;
  request.model = node.model;
  request.tag = options.tag;
  request.note = options.note;
  ASSIGN_OR_RETURN(request.expected_release, uuid_option("--if-release", options.if_release));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::ReleaseReply moved, registry->call(request));
  return report_release(*registry, moved, options.tag, options.wait, shared);
}

}  // namespace espalier::cli
