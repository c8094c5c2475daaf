#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "common/files.h"
#include "model/artefact.h"

namespace espalier::cli {
namespace {

/// The bytes of a version's artefact, from the registry.
Result<std::string> fetch(const InspectOptions& options, const Uuid& version, const Shared& shared) {
  if (options.model.empty()) return invalid_argument("whose version is it? Name its model with --model TENANT/MODEL");
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.model));
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  wire::VersionsRequest request;
  request.tenant = node.tenant;
  request.model = node.model;
  request.version = version;
  ASSIGN_OR_RETURN(const wire::VersionsReply reply, registry->call(request));
  if (reply.versions.empty()) return not_found("no version " + version.text() + " of " + node.text());
  wire::FetchRequest fetch;
  fetch.tenant = node.tenant;
  fetch.artefacts = {reply.versions.front().artefact};
  wire::Message bodies;
  ASSIGN_OR_RETURN(const wire::FetchReply fetched,
                   registry->call(fetch, {}, client::RegistryClient::kDefaultTimeoutUs, &bodies));
  if (fetched.found.empty() || bodies.empty()) return not_found("the registry has no artefact of " + version.text());
  return std::string(bodies.front().view());
}

// Names and values; of lists the first entries, for the weights can be many.
void print_tree(const nlohmann::json& value, const std::string& indent) {
  constexpr std::size_t kMostEntries = 20;
  std::size_t shown = 0;
  for (const auto& [name, member] : value.items()) {
    if (value.is_array() && ++shown > kMostEntries) {
      print_line(indent + "... " + count_text(value.size() - kMostEntries) + " more");
      return;
    }
    const std::string start = indent + (value.is_array() ? "-" : name);
    if (member.is_structured() && !member.empty() && !(value.is_array() && member.size() <= 4)) {
      print_line(start);
      print_tree(member, indent + "  ");
    } else {
      print_line(start + "  " + (member.is_string() ? member.get<std::string>() : member.dump()));
    }
  }
}

}  // namespace

Status run_inspect(const InspectOptions& options, const Shared& shared) {
  std::string bytes;
  const auto version = Uuid::parse(options.artefact);
  if (version.ok() && !Files::system().exists(options.artefact)) {
    ASSIGN_OR_RETURN(bytes, fetch(options, *version, shared));
  } else {
    ASSIGN_OR_RETURN(bytes, Files::system().read(options.artefact));
  }
  auto artefact = model::Artefact::open(bytes);
  if (!artefact.ok()) return artefact.status().at(options.artefact);
  model::Artefact::Scratch scratch;
  const Status probes = artefact->replay_probes(scratch);
  auto description = embedded_json(artefact->describe_json());
  description["hash"] = blake2b_256(bytes).hex();
  description["probes_replayed"] = probes.ok() ? "as the trainer had them" : probes.message();
  if (shared.json)
    print_json(description);
  else
    print_tree(description, "");
  return Status();
}

}  // namespace espalier::cli
