#include "cli/upkeep/moving.h"
#include "cli/history_csv.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>

#include "cli/json_records.h"
#include "cli/output.h"
#include "cli/registry_access.h"
#include "cli/upkeep/upkeep.h"
#include "common/clock.h"
#include "common/files.h"
#include "model/ids.h"
#include "registry/moving/export_source.h"
#include "registry/moving/importer.h"
#include "registry/upkeep/stopped.h"

namespace espalier::cli {
namespace {

using registry::AskImport;
using registry::History;
using registry::upkeep::Archive;
using registry::upkeep::ArchiveCounts;
using registry::upkeep::ArchiveHead;
using registry::upkeep::ArchiveKind;
using registry::upkeep::ArchiveWriter;
using registry::upkeep::BlockKind;
using wire::ImportState;

constexpr std::size_t kUploadBytes = 4u << 20, kUploadArtefacts = 256;

std::string_view state_name(ImportState state) {
  switch (state) {
    case ImportState::absent: return "absent";
    case ImportState::under_way: return "under way";
    case ImportState::there: return "there";
  }
  return "";
}

// ------------------------------------------------------------------------------------------------------------------
// out

struct Of {
  std::string tenant, model;
};
Result<Of> parse_of(const std::string& text) {
  const std::size_t slash = text.find('/');
  Of of{text.substr(0, slash), slash == std::string::npos ? "" : text.substr(slash + 1)};
  RETURN_IF_ERROR(model::check_name("tenant", of.tenant));
  if (slash != std::string::npos) RETURN_IF_ERROR(model::check_name("model", of.model));
  return of;
}

/// Gives the blocks of an archive, some at a time.
using TakeBlock = std::function<Status(const ArchiveHead& head, BlockKind kind, std::string_view payload)>;

Status read_running(client::RegistryClient& registry, wire::ArchiveRequest request, const TakeBlock& take,
                    ArchiveCounts& counts) {
  request.session = new_uuid();
  for (bool done = false; !done; ++request.step) {
    wire::Message bodies;
    ASSIGN_OR_RETURN(const wire::ArchiveReply reply,
                     registry.call(request, {}, client::RegistryClient::kDefaultTimeoutUs, &bodies));
    if (bodies.size() != reply.blocks.size()) return corrupt("a reply of the registry has another number of bodies");
    const ArchiveHead head{reply.generation, reply.epoch, reply.time_us, reply.schema, ArchiveKind::histories};
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      RETURN_IF_ERROR(take(head, static_cast<BlockKind>(reply.blocks[i]), bodies[i].view()));
    }
    counts = {reply.records, reply.artefacts, reply.artefact_bytes};
    done = reply.done;
  }
  return {};
}

Status read_stopped(const std::string& folder, const Of& of, const TakeBlock& take, ArchiveCounts& counts) {
  const Clock& clock = Clock::system();
  ASSIGN_OR_RETURN(const auto stopped, registry::upkeep::open_stopped(Files::system(), clock, folder));
  ASSIGN_OR_RETURN(const auto source,
                   registry::ExportSource::start(*stopped.records, clock, {of.tenant, of.model, 0, false}));
  while (!source->is_done()) {
    ASSIGN_OR_RETURN(const auto blocks, source->step(1'000'000));
    for (const auto& block : blocks) RETURN_IF_ERROR(take(source->head(), block.kind, block.payload));
  }
  counts = source->counts();
  return {};
}

// -------------------------------------------------------------------------------------------------------------------
// in

/// An archive's artefacts, many in one upload.
Status upload_all(client::RegistryClient& registry, const Incoming& incoming) {
  wire::UploadRequest request;
  std::vector<std::string> bodies;
  std::size_t bytes = 0;
  const auto send = [&]() -> Status {
    if (bodies.empty()) return {};
    RETURN_IF_ERROR(registry.call(request, std::move(bodies)).status());
    request.artefacts.clear();
    bodies.clear();
    bytes = 0;
    return {};
  };
  RETURN_IF_ERROR(incoming.each_artefact([&](std::string_view tenant, const Hash256& hash, std::string_view body) {
    if (request.tenant != tenant || bytes + body.size() > kUploadBytes || bodies.size() == kUploadArtefacts) {
      RETURN_IF_ERROR(send());
    }
    request.tenant = tenant;
    request.artefacts.push_back(hash);
    bodies.emplace_back(body);
    bytes += body.size();
    return Status();
  }));
  return send();
}

/// Reads back what the registry has of it since its import.
Status verify(client::RegistryClient& registry, const History& history, const Hash256& hash, std::uint64_t epoch) {
  wire::ArchiveRequest request;
  request.tenant = history.tenant;
  request.model = history.model;
  request.epoch = epoch;
  request.records_only = true;
  std::deque<std::string> blocks;
  ArchiveCounts counts;
  RETURN_IF_ERROR(read_running(
      registry, request,
      [&](const ArchiveHead&, BlockKind, std::string_view payload) {
        blocks.emplace_back(payload);
        return Status();
      },
      counts));
  ASSIGN_OR_RETURN(auto histories, registry::histories_of([&](const registry::TakeRecord& take_record) -> Status {
                     for (const std::string& block : blocks)
                       RETURN_IF_ERROR(registry::upkeep::each_record_of(block, take_record));
                     return {};
                   }));
  History& moved = histories.front();
  // The tenant may have had one that its runs or versions only named where they come from.
  const auto came = [&](const registry::MovedDataset& dataset) {
    return std::ranges::binary_search(history.datasets, dataset.dataset, {}, &registry::MovedDataset::dataset);
  };
  std::erase_if(moved.datasets, [&](const registry::MovedDataset& dataset) { return !came(dataset); });
  if (moved.hash() == hash) return {};
  return corrupt(history.tenant + "/" + history.model + ": the registry has another history than was imported: " +
                 count_text(moved.records.size()) + " records, " + count_text(history.records.size()) + " came");
}

/// A history and what is known of its import.
struct Moving {
  const History& history;
  Hash256 hash;
  wire::ImportReply reply;
  bool is_verified = false;
};

Result<std::vector<Moving>> look_at_all(const Incoming& incoming, const AskImport& ask) {
  std::vector<Moving> all;
  for (const History& history : incoming.histories) {
    Moving& moving = all.emplace_back(Moving{history, history.hash(), {}, false});
    std::vector<registry::MovedDataset> of_tenant;
    for (const auto& dataset : incoming.datasets) {
      if (dataset.tenant == history.tenant) of_tenant.push_back(dataset);
    }
    ASSIGN_OR_RETURN(moving.reply, registry::look_at(history, moving.hash, of_tenant, ask));
  }
  return all;
}

void print(const Incoming& incoming, const std::vector<Moving>& all, bool dry_run, const Shared& shared) {
  if (!shared.json) {
    Table table({"model", "commits", "releases", "versions", "without artefact", "tag entries", "runs", "datasets",
                 dry_run ? "in the registry" : "epoch"});
    for (const auto& [history, hash, reply, is_verified] : all) {
      const std::string state =
          !reply.conflict.empty() ? "conflict: " + reply.conflict : std::string(state_name(reply.state));
      table.add({history.tenant + "/" + history.model, count_text(history.times.size()),
                 count_text(history.releases.size()), count_text(history.versions.size()),
                 count_text(history.without_artefact), count_text(history.entries), count_text(history.runs.size()),
                 count_text(history.datasets.size()),
                 dry_run ? state : std::to_string(reply.epoch) + (is_verified ? ", verified" : ", was there")});
    }
    print_line(table.text());
    print_line(count_text(incoming.artefacts) + " artefacts (" + bytes_text(incoming.artefact_bytes) + "), " +
               count_text(incoming.datasets.size()) + " datasets");
    return;
  }
  auto histories = nlohmann::json::array();
  for (const auto& [history, hash, reply, is_verified] : all) {
    histories.push_back({{"tenant", history.tenant},
                         {"model", history.model},
                         {"history", hash.hex()},
                         {"commits", history.times.size()},
                         {"releases", history.releases.size()},
                         {"versions", history.versions.size()},
                         {"without_artefact", history.without_artefact},
                         {"tag_entries", history.entries},
                         {"runs", history.runs.size()},
                         {"points", history.points},
                         {"datasets", history.datasets.size()},
                         {"state", state_name(reply.state)},
                         {"conflict", reply.conflict},
                         {"epoch", reply.epoch},
                         {"receipt", uuid_json(reply.receipt)},
                         {"verified", is_verified}});
  }
  print_json({{"file", incoming.file},
              {"dry_run", dry_run},
              {"histories", histories},
              {"datasets", incoming.datasets.size()},
              {"artefacts", incoming.artefacts},
              {"artefact_bytes", incoming.artefact_bytes}});
}

AskImport asked_of(client::RegistryClient& registry) {
  return [&registry](const wire::ImportRequest& request, std::vector<std::string> bodies) {
    return registry.call(request, std::move(bodies));
  };
}

Status abandon(const std::vector<Of>& models, const Shared& shared) {
  ASSIGN_OR_RETURN(const auto registry, connect_registry(shared));
  auto printed = nlohmann::json::array();
  for (const Of& of : models) {
    const std::string name = of.tenant + "/" + of.model;
    RETURN_IF_ERROR(registry::abandon_import(of.tenant, of.model, asked_of(*registry), new_uuid).at(name));
    printed.push_back(name);
    if (!shared.json) print_line(name + ": nothing of an unfinished import is there any more");
  }
  if (shared.json) print_json({{"abandoned", printed}});
  return {};
}

/// Why an import stopped, and what can be done about what came.
Status stopped_import(const Moving& moving, const AskImport& ask, const Status& why) {
  const std::string name = moving.history.tenant + "/" + moving.history.model;
  if (why.code() == Code::unavailable) return why.at(name);
  const auto left = registry::look_at(moving.history, moving.hash, ask);
  if (!left.ok() || left->state != ImportState::under_way) return why.at(name);
  return Status(why.at(name).code(), why.at(name).message() +
                                         "; what came before is kept, unseen: run this again, or take it away by "
                                         "espalier registry import --abandon " +
                                         name);
}

/// Those that no history of their tenant names: a tenant's archive has all.
Status bring_other_datasets(const Incoming& incoming, const std::vector<Moving>& all, const AskImport& ask) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const History& history = all[i].history;
    if (i > 0 && all[i - 1].history.tenant == history.tenant) continue;
    std::vector<registry::MovedDataset> others;
    for (const auto& dataset : incoming.datasets) {
      const bool is_named = std::ranges::any_of(all, [&](const Moving& moving) {
        return moving.history.tenant == dataset.tenant && moving.history.named.all().contains(dataset.dataset);
      });
      if (dataset.tenant == history.tenant && !is_named) others.push_back(dataset);
    }
    RETURN_IF_ERROR(registry::import_datasets(history, all[i].hash, others, ask, new_uuid).at(history.tenant));
  }
  return {};
}

}  // namespace

Status bring_in(const Incoming& incoming, bool dry_run, const Shared& shared) {
  ASSIGN_OR_RETURN(const auto registry, connect_registry(shared));
  const AskImport ask = asked_of(*registry);
  ASSIGN_OR_RETURN(auto all, look_at_all(incoming, ask));
  std::string conflict;
  for (const Moving& moving : all) {
    if (conflict.empty()) conflict = moving.reply.conflict;
  }
  if (dry_run) print(incoming, all, true, shared);
  if (!conflict.empty()) return Status(Code::already_exists, conflict + "; nothing was changed");
  if (dry_run) return {};
  const bool is_there = std::ranges::all_of(all, [](const Moving& m) { return m.reply.state == ImportState::there; });
  if (!is_there) RETURN_IF_ERROR(upload_all(*registry, incoming));
  for (Moving& moving : all) {
    const bool was_there = moving.reply.state == ImportState::there;
    auto reply = registry::import_history(moving.history, moving.hash, ask, new_uuid);
    if (!reply.ok()) return stopped_import(moving, ask, reply.status());
    moving.reply = *std::move(reply);
    if (was_there) continue;
    RETURN_IF_ERROR(verify(*registry, moving.history, moving.hash, moving.reply.epoch));
    moving.is_verified = true;
  }
  RETURN_IF_ERROR(bring_other_datasets(incoming, all, ask));
  print(incoming, all, false, shared);
  return {};
}

Status run_registry_export(const UpkeepOptions& options, const Shared& shared) {
  ASSIGN_OR_RETURN(const Of of, parse_of(options.of));
  std::unique_ptr<ArchiveWriter> writer;
  ArchiveHead head;
  ArchiveCounts counts;
  if (!options.dry_run && Files::system().exists(options.file)) return Status(Code::already_exists, options.file);
  const TakeBlock take = [&](const ArchiveHead& of_block, BlockKind kind, std::string_view payload) -> Status {
    head = of_block;
    if (options.dry_run) return {};
    if (!writer) {
      ASSIGN_OR_RETURN(writer, ArchiveWriter::make(Files::system(), options.file, head));
    }
    return writer->add(kind, payload);
  };
  if (options.dir.empty()) {
    ASSIGN_OR_RETURN(const auto registry, connect_registry(shared));
    wire::ArchiveRequest request;
    request.tenant = of.tenant;
    request.model = of.model;
    RETURN_IF_ERROR(read_running(*registry, request, take, counts));
  } else {
    RETURN_IF_ERROR(read_stopped(options.dir, of, take, counts));
  }
  if (writer) RETURN_IF_ERROR(writer->finish(counts));
  if (shared.json) {
    print_json({{"file", options.file},
                {"dry_run", options.dry_run},
                {"tenant", of.tenant},
                {"model", of.model},
                {"generation", head.generation},
                {"epoch", head.epoch},
                {"time_us", head.time_us},
                {"records", counts.records},
                {"artefacts", counts.artefacts},
                {"artefact_bytes", counts.artefact_bytes}});
  } else {
    const std::string what = options.file.empty() ? "the file" : options.file;
    print_line(what + (options.dry_run ? " would have: " : ": ") + count_text(counts.records) + " records and " +
               count_text(counts.artefacts) + " artefacts (" + bytes_text(counts.artefact_bytes) + "), up to epoch " +
               std::to_string(head.epoch));
  }
  return {};
}

Status run_registry_import(const UpkeepOptions& options, const Shared& shared) {
  if (!options.of.empty()) {
    ASSIGN_OR_RETURN(const Of of, parse_of(options.of));
    return abandon({of}, shared);
  }
  ASSIGN_OR_RETURN(const auto archive, Archive::open(Files::system(), options.file));
  auto histories = registry::histories_of(*archive);
  if (!histories.ok()) return histories.status().at(options.file);
  if (options.abandon) {
    std::vector<Of> models;
    for (const History& history : *histories) models.push_back({history.tenant, history.model});
    return abandon(models, shared);
  }
  Incoming incoming;
  incoming.file = options.file;
  incoming.histories = *std::move(histories);
  ASSIGN_OR_RETURN(incoming.datasets, registry::datasets_of(*archive));
  incoming.each_artefact = [&](const Incoming::TakeArtefact& take) { return archive->each_artefact(take); };
  incoming.artefacts = archive->counts().artefacts;
  incoming.artefact_bytes = archive->counts().artefact_bytes;
  return bring_in(incoming, options.dry_run, shared);
}

Status run_registry_import_history(const UpkeepOptions& options, const Shared& shared) {
  HistoryCsvOptions table;
  table.file = options.file;
  table.tenant = options.tenant;
  table.model = options.model;
  table.spec = options.spec;
  table.tag = options.tag;
  ASSIGN_OR_RETURN(const Incoming incoming, read_history_csv(table, Clock::system().wall_us()));
  return bring_in(incoming, options.dry_run, shared);
}

}  // namespace espalier::cli
