// A registry with histories, another one that takes them, and what both answer.
//
// Thread safety: one thread.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "registry/moving/importer.h"
#include "registry/upkeep/archive_source.h"
#include "registry/upkeep/check.h"
#include "registry/upkeep/stopped.h"
#include "tests/unit/registry/random_workload.h"

namespace espalier::registry {

class MovingFixture : public RandomWorkload {
 protected:
  MovingFixture() { open_target(); }
  std::string target_folder() const { return folder_ / "target"; }
  void open_target() {
    target_.reset();
    auto opened = Registry::open(files_, clock_, target_folder());
    ASSERT_OK(opened);
    target_ = *std::move(opened);
  }

  /// An archive of those histories, through the protocol.
  std::unique_ptr<upkeep::Archive> exported(Registry& from, const std::string& tenant, const std::string& model = "",
                                            std::uint64_t until = 0) {
    wire::ArchiveRequest request;
    request.session = uuid('s', ++sessions_);
    request.tenant = tenant;
    request.model = model;
    request.epoch = until;
    const std::string path = folder_ / ("archive" + std::to_string(sessions_));
    std::unique_ptr<upkeep::ArchiveWriter> writer;
    for (bool done = false; !done; ++request.step) {
      Registry::Bodies bodies;
      const auto reply = from.archive(local_, request, bodies);
      EXPECT_OK(reply);
      if (!reply.ok()) return nullptr;
      const upkeep::ArchiveHead head{reply->generation, reply->epoch, reply->time_us, reply->schema,
                                     upkeep::ArchiveKind::histories};
      if (!writer) writer = *upkeep::ArchiveWriter::make(files_, path, head);
      for (std::size_t i = 0; i < bodies.size(); ++i) {
        EXPECT_OK(writer->add(static_cast<upkeep::BlockKind>(reply->blocks[i]), bodies[i]));
      }
      done = reply->done;
      if (!done) continue;
      EXPECT_OK(writer->finish({reply->records, reply->artefacts, reply->artefact_bytes}));
    }
    auto archive = upkeep::Archive::open(files_, path);
    EXPECT_OK(archive);
    return archive.ok() ? *std::move(archive) : nullptr;
  }

  void upload_all(const upkeep::Archive& archive) {
    EXPECT_OK(archive.each_artefact([&](std::string_view tenant, const Hash256& hash, std::string_view bytes) {
      return target_->upload(local_, {std::string(tenant), {hash}}, {bytes}).status();
    }));
  }
  /// Asks the target; `before` is called before each step.
  AskImport ask(std::function<void()> before = [] {}) {
    return [this, before](const wire::ImportRequest& request, std::vector<std::string> bodies) {
      before();
      return target_->import_history(local_, request, {bodies.begin(), bodies.end()});
    };
  }
  std::function<Uuid()> idems() {
    return [this] { return uuid('m', ++idems_); };
  }
  /// Artefacts and all histories of the archive.
  Status import_all(const upkeep::Archive& archive) {
    upload_all(archive);
    ASSIGN_OR_RETURN(const auto histories, histories_of(archive));
    for (const History& history : histories) {
      RETURN_IF_ERROR(import_history(history, history.hash(), ask(), idems()).status());
    }
    return {};
  }

  /// Whether everything in a registry holds, through the protocol.
  static std::string findings(Registry& registry, std::uint32_t session) {
    wire::CheckRequest request;
    request.session = uuid('c', session);
    std::string text;
    for (bool done = false; !done; ++request.step) {
      const auto reply = registry.check(Principal::local(), request);
      EXPECT_OK(reply);
      if (!reply.ok()) return reply.status().text();
      for (const auto& finding : reply->findings) text += finding.table + " " + finding.key + " " + finding.what + "\n";
      done = reply->done;
    }
    return text;
  }
  std::string target_findings() { return findings(*target_, ++sessions_); }

  /// All releases, versions and movements of tags that a registry has of a model, without its epochs; as of a time, or
  /// now. What tags said then is in it too.
  std::string told(Registry& registry, const std::string& tenant, const std::string& model, std::int64_t time_us = 0) {
    std::string text;
    wire::ModelsRequest models;
    models.tenant = tenant;
    models.model = model;
    models.time_us = time_us;
    const auto state = registry.models(local_, models);
    if (!state.ok()) return std::string(code_name(state.status().code()));
    const wire::ModelRecord& record = state->models.front();
    text += wire::encode(record) + "\n";
    wire::ReleasesRequest releases{tenant, model, {}, {}, 65536, 0, time_us};
    const auto page_of_releases = registry.releases(local_, releases);
    for (auto release : page_of_releases->releases) {
      release.epoch = 0;
      text += wire::encode(release) + "\n";
    }
    wire::VersionsRequest versions{tenant, model, {}, {}, {}, 65536, 0, time_us};
    const auto page_of_versions = registry.versions(local_, versions);
    for (auto version : page_of_versions->versions) {
      version.epoch = 0;
      text += wire::encode(version) + "\n";
    }
    for (const std::string& tag : record.tags) {
      wire::TagEntriesRequest entries{tenant, model, tag, 0, {}, {}, 65536, time_us};
      const auto page_of_entries = registry.tag_entries(local_, entries);
      for (auto entry : page_of_entries->entries) {
        entry.epoch = 0;
        text += wire::encode(entry) + "\n";
      }
      wire::TagHistoryRequest history;
      history.tenant = tenant;
      history.model = model;
      history.tag = tag;
      history.time_us = time_us;
      history.limit = 4096;
      do {
        const auto page = registry.tag_history(local_, history);
        EXPECT_OK(page);
        if (!page.ok()) return page.status().text();
        for (auto movement : page->movements) {
          movement.epoch = 0;
          wire::TagHistoryReply one;
          one.movements.push_back(movement);
          text += wire::encode_reply(Status(), one) + "\n";
        }
        history.cursor = page->cursor;
      } while (!history.cursor.empty());
    }
    return text;
  }

  std::vector<std::string> found(Registry& registry, const std::string& where, const std::string& order = "",
                                 const std::string& tenant = "acme", const std::string& model = "total") {
    wire::SearchRequest request;
    request.kind = "versions";
    request.tenant = tenant;
    request.model = model;
    request.where = where;
    request.order = order;
    request.limit = 7;
    std::vector<std::string> versions;
    do {
      const auto reply = registry.search(local_, request);
      EXPECT_OK(reply);
      if (!reply.ok()) return {reply.status().text()};
      for (const auto& row : reply->rows) {
        versions.push_back(wire::decode<wire::VersionRecord>(row.record)->version.text());
      }
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    if (order.empty()) std::ranges::sort(versions);
    return versions;
  }

  std::unique_ptr<Registry> target_;
  std::uint32_t sessions_ = 0, idems_ = 0;
};

/// Adds a model of the target's own.
class MovingTest : public MovingFixture {
 protected:
  void fill(int operations) {
    for (int i = 0; i < operations; ++i) do_something();
  }
  /// The target has a model of its own, and goes on.
  void publish_to_target(std::uint32_t number, const std::string& model = "own", const std::string& tenant = "acme") {
    wire::PublishRequest request;
    request.idem = uuid('i', number);
    request.tenant = tenant;
    request.model = model;
    request.tag = "production";
    request.release = uuid('r', number);
    request.spec_json = spec_json(model, {"country"});
    request.fields = {{"age", model::FieldType::number}};
    wire::VersionRecord version;
    version.version = uuid('v', number);
    const std::string bytes = small_artefact(static_cast<float>(number));
    version.artefact = blake2b_256(bytes);
    ASSERT_OK(target_->upload(local_, {tenant, {version.artefact}}, {bytes}));
    const std::string body = wire::encode_array(std::vector{version});
    ASSERT_OK(target_->publish(local_, request, {body}));
  }
  std::vector<std::int64_t> times_of(const std::string& tenant, const std::string& model) {
    std::vector<std::int64_t> times;
    wire::ReleasesRequest request{tenant, model, {}, {}, 65536, 0, 0};
    const auto page = registry_->releases(local_, request);
    for (const auto& release : page->releases) times.push_back(release.time_us);
    return times;
  }
};

}  // namespace espalier::registry
