#include "registry/differences.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/hash.h"
#include "registry/keys.h"
#include "registry/query_cursor.h"
#include "registry/search/index.h"

namespace espalier::registry {
namespace {

/// What looking up a version costs, in about microseconds; passing over a node costs one.
constexpr std::size_t kReadCost = 20;

}  // namespace

DifferencePage::DifferencePage(Records& records, const std::string& tenant, const std::string& model,
                               std::uint32_t limit, std::size_t most_work)
    : records_(records),
      tenant_(tenant),
      model_(model),
      limit_(std::clamp<std::uint32_t>(limit, 1, kMaxDifferences)),
      most_work_(most_work) {}

bool DifferencePage::is_full() const { return nodes_.size() >= limit_ || (!nodes_.empty() && work_ >= most_work_); }

Result<wire::NodeState> DifferencePage::state_of(const wire::TagEntry& entry) {
  wire::NodeState state;
  state.kind = entry.kind;
  state.version = entry.version;
  state.release = entry.release;
  if (entry.kind != wire::EntryKind::version) return state;
  work_ += kReadCost;
  ASSIGN_OR_RETURN(auto version, records_.versions.find(tenant_, model_, entry.version));
  if (!version) return state;
  state.rows = version->rows;
  state.metrics_json = std::move(version->metrics_json);
  return state;
}

Status DifferencePage::add(std::string_view components, const wire::TagEntry& before, const wire::TagEntry& after) {
  wire::NodeDifference node;
  ASSIGN_OR_RETURN(node.partition, model::split_components(components));
  ASSIGN_OR_RETURN(node.before, state_of(before));
  ASSIGN_OR_RETURN(node.after, state_of(after));
  node.delta_json = metrics_delta(node.before.metrics_json, node.after.metrics_json);
  nodes_.push_back(std::move(node));
  return {};
}

Result<std::string> DifferencePage::fill(const TagState& before, const TagState& after, std::string_view under,
                                         const std::string& after_node) {
  DifferenceScan scan;
  scan.under = under;
  scan.most_steps = std::max<std::size_t>(most_work_, 1);
  if (!after_node.empty()) scan.after = after_node.substr(1);
  Status failed;
  const auto stopped = records_.tags.each_difference(
      before, after, scan, [&](std::string_view components, const wire::TagEntry& was, const wire::TagEntry& is) {
        if (is_full() || !failed.ok()) return false;
        failed = add(components, was, is);
        return failed.ok();
      });
  RETURN_IF_ERROR(stopped.status());
  RETURN_IF_ERROR(failed);
  return *stopped ? "." + **stopped : std::string();
}

std::string metrics_delta(const std::string& before_json, const std::string& after_json) {
  const auto before = search::top_numbers(before_json);
  auto delta = nlohmann::json::object();
  for (const auto& [name, value] : search::top_numbers(after_json)) {
    if (const auto was = before.find(name); was != before.end()) delta[name] = value - was->second;
  }
  if (delta.empty()) return {};
  return delta.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<wire::DifferencesReply> release_diff(Records& records, const wire::ReleaseDiffRequest& request,
                                            std::size_t most_work) {
  ASSIGN_OR_RETURN(const auto from, records.releases.get(request.tenant, request.model, request.from));
  ASSIGN_OR_RETURN(const auto to, records.releases.get(request.tenant, request.model, request.to));
  wire::ReleaseDiffRequest shared = request;
  shared.cursor.clear();
  shared.limit = 0;
  wire::DifferencesReply reply;
  reply.generation = records.store.generation();
  reply.epoch = std::max(from.epoch, to.epoch);
  const std::uint64_t query = xxh3_64(wire::encode(shared));
  ASSIGN_OR_RETURN(QueryCursor cursor, QueryCursor::parse(request.cursor, query, reply.generation));
  RETURN_IF_ERROR(records.feed.check_kept(std::min(from.epoch, to.epoch)));
  const TagState before{keys::tag_prefix(request.tenant, request.model, from.tag), from.epoch};
  const TagState after{keys::tag_prefix(request.tenant, request.model, to.tag), to.epoch};
  DifferencePage page(records, request.tenant, request.model, request.limit, most_work);
  ASSIGN_OR_RETURN(cursor.position, page.fill(before, after, keys::components(request.under), cursor.position));
  reply.nodes = page.take();
  cursor.epoch = reply.epoch;
  if (!cursor.position.empty()) reply.cursor = cursor.text();
  return reply;
}

}  // namespace espalier::registry
