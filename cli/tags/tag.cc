#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/tags/tag_commands.h"

namespace espalier::cli {
namespace {

constexpr std::int64_t kServedWithinUs = 60'000'000;

/// A release of one entry.
Status move_node(const TagSetOptions& options, wire::EntryKind kind, const Shared& shared) {
  ASSIGN_OR_RETURN(const model::NodeName node, model::NodeName::parse(options.node));
  wire::TagEntry entry;
  entry.partition = node.partition.values();
  entry.kind = kind;
  ASSIGN_OR_RETURN(entry.version, uuid_option("--version", options.version));
  wire::MoveRequest request;
  request.idem = new_uuid();
  request.release = new_uuid();
  request.tenant = node.tenant;
  request.model = node.model;
  request.tag = options.wish.tag;
  request.note = options.wish.note;
  ASSIGN_OR_RETURN(request.expected_release, uuid_option("--if-release", options.wish.if_release));
  request.expected_none = options.wish.if_none;
  ASSIGN_OR_RETURN(auto registry, connect_registry(shared));
  ASSIGN_OR_RETURN(const wire::ReleaseReply made,
                   registry->call(request, {wire::encode_array(std::vector<wire::TagEntry>{entry})}));
  return report_release(*registry, made, request.tag, options.wish.wait, shared);
}

}  // namespace

Result<Uuid> uuid_option(const std::string& option, const std::string& text) {
  if (text.empty()) return Uuid();
  auto uuid = Uuid::parse(text);
  if (!uuid.ok()) return uuid.status().at(option);
  return uuid;
}

Status wait_until_served(client::RegistryClient& registry, std::uint64_t epoch, const std::string& what) {
  ASSIGN_OR_RETURN(const wire::WaitReply served, registry.call(wire::WaitRequest{epoch, kServedWithinUs}));
  if (served.served) return Status();
  return unavailable(what + " is made, but " + std::to_string(served.missing.size()) +
                     " shards do not answer from it yet");
}

Status report_release(client::RegistryClient& registry, const wire::ReleaseReply& made, const std::string& tag,
                      bool wait, const Shared& shared) {
  if (wait) RETURN_IF_ERROR(wait_until_served(registry, made.epoch, "the release"));
  if (shared.json) {
    print_json({{"release", made.release.text()}, {"epoch", made.epoch}, {"moved", made.moved}, {"served", wait}});
  } else {
    print_line("release " + made.release.text() + " moved " + count_text(made.moved) +
               (made.moved == 1 ? " node" : " nodes") + " of tag " + tag);
  }
  return Status();
}

Status run_tag_set(const TagSetOptions& options, const Shared& shared) {
  return move_node(options, wire::EntryKind::version, shared);
}
Status run_tag_remove(const TagSetOptions& options, const Shared& shared) {
  return move_node(options, wire::EntryKind::removed, shared);
}
Status run_tag_unset(const TagSetOptions& options, const Shared& shared) {
  return move_node(options, wire::EntryKind::unset, shared);
}

}  // namespace espalier::cli
