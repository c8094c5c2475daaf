// Tags of acme/total, changed by short calls and told as text.
//
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "common/bytes.h"
#include "registry/promote.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {

class TagsFixture : public RegistryFixture {
 protected:
  static std::string number(const Uuid& uuid) {
    if (uuid.is_nil()) return "-";
    return std::to_string(load_u32_be(reinterpret_cast<const char*>(uuid.bytes.data()) + 12));
  }

  static std::string path(const Path& partition) {
    std::string text;
    for (const auto& value : partition) text += (text.empty() ? "" : "/") + value;
    return text.empty() ? "/" : text;
  }

  static std::string said(wire::EntryKind kind, const Uuid& version) {
    if (kind == wire::EntryKind::removed) return "removed";
    return kind == wire::EntryKind::unset ? "unset" : number(version);
  }

  wire::TagEntry entry(const Path& partition, wire::EntryKind kind, std::uint32_t version = 0) {
    wire::TagEntry entry;
    entry.partition = partition;
    entry.kind = kind;
    if (kind == wire::EntryKind::version) entry.version = uuid('v', version);
    return entry;
  }
  wire::TagEntry version_entry(const Path& partition, std::uint32_t version) {
    return entry(partition, wire::EntryKind::version, version);
  }
  /// Like publish(), with a run and a metric for all its versions; nodes that it doesn't name stay.
  Result<wire::ReleaseReply> publish_run(std::uint32_t release, const std::vector<Node>& nodes, const std::string& run,
                                         double rmse) {
    Proposal proposal = propose(release, nodes);
    proposal.request.replace = false;
    for (auto& version : proposal.versions) {
      version.metrics_json = R"({"rmse":)" + std::to_string(rmse) + "}";
      version.lineage_json = R"({"run":")" + run + "\"}";
    }
    return publish(proposal);
  }

  wire::RollbackRequest back(std::uint32_t release, const std::string& tag = "production") {
    auto request = of_total<wire::RollbackRequest>();
    request.idem = uuid('i', release);
    request.tag = tag;
    request.release = uuid('r', release);
    return request;
  }
  wire::RollbackPreviewRequest preview_of(const wire::RollbackRequest& request, std::uint32_t limit) {
    return {request.tenant, request.model, request.tag, request.to, request.under, {}, limit};
  }
  /// "usa:2>1 usa/ca:3>unset", read in pages, in the order of the nodes.
  template <class Request>
  std::string differences(Request request,
                          Result<wire::DifferencesReply> (Registry::*ask)(const Principal&, const Request&)) {
    std::map<std::string, std::string> nodes;
    std::uint64_t epoch = 0;
    do {
      const auto reply = (registry_.get()->*ask)(local_, request);
      if (!reply.ok()) return reply.status().text();
      EXPECT_TRUE(epoch == 0 || epoch == reply->epoch);
      epoch = reply->epoch;
      EXPECT_LE(reply->nodes.size(), request.limit);
      for (const auto& node : reply->nodes) {
        EXPECT_TRUE(nodes
                        .emplace(path(node.partition), path(node.partition) + ":" +
                                                           said(node.before.kind, node.before.version) + ">" +
                                                           said(node.after.kind, node.after.version))
                        .second);
      }
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    std::string text;
    for (const auto& [name, line] : nodes) text += (text.empty() ? "" : " ") + line;
    return text;
  }
  std::string preview(const wire::RollbackRequest& request, std::uint32_t limit = 100) {
    return differences(preview_of(request, limit), &Registry::rollback_preview);
  }
  std::string diff(std::uint32_t from, std::uint32_t to, const Path& under = {}, std::uint32_t limit = 100) {
    auto request = of_total<wire::ReleaseDiffRequest>();
    request.from = uuid('r', from);
    request.to = uuid('r', to);
    request.under = under;
    request.limit = limit;
    return differences(request, &Registry::release_diff);
  }
  std::string moved_of_tag(std::uint64_t epoch, const std::string& tag) {
    wire::ChangedEntriesRequest request;
    request.epoch = epoch;
    request.limit = 2;
    std::string text;
    do {
      const auto reply = registry_->changed_entries(local_, request);
      if (!reply.ok()) return reply.status().text();
      for (const auto& moved : reply->entries) {
        if (moved.tag == tag) text += path(moved.partition) + "=" + said(moved.kind, moved.version) + " ";
      }
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    return text;
  }
  wire::ModelRecord model() { return registry_->models(local_, of_total<wire::ModelsRequest>())->models.at(0); }
};

}  // namespace espalier::registry
