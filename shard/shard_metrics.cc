#include "shard/shard_metrics.h"

#include "metrics/disk.h"
#include "metrics/mapped_files.h"

namespace espalier::shard {
namespace {

std::string name_of(wire::Reason reason) { return std::string(wire::reason_name(reason)); }

void add_nodes(metrics::Page& page, const wire::ShardStatusReply& status) {
  page.gauge("espalier_shard_epoch", "The registry's epoch that the shard answers from.",
             static_cast<double>(status.epoch));
  page.gauge("espalier_shard_generation", "The generation of that epoch.", static_cast<double>(status.generation));
  page.gauge("espalier_shard_starting", "1 while predictions are refused because the shard starts.",
             status.is_starting);
  page.gauge("espalier_shard_nodes_wanted", "Nodes for which a tag names a version and that the shard holds.",
             static_cast<double>(status.nodes_wanted));
  page.gauge("espalier_shard_nodes_ready", "Of these, the ones whose version answers.",
             static_cast<double>(status.nodes_ready));
  for (const auto& [reason, count] : status.not_ready) {
    page.gauge("espalier_shard_nodes_not_ready", "The others, by reason.", static_cast<double>(count),
               {{"reason", name_of(reason)}});
  }
}

void add_space(metrics::Page& page, const wire::ShardStatusReply& status) {
  page.gauge("espalier_shard_memory_bytes", "Bytes of artefacts that may answer, mapped.",
             static_cast<double>(status.memory_bytes));
  page.gauge("espalier_shard_memory_budget_bytes", "Their budget; 0: none.", static_cast<double>(status.memory_budget));
  page.gauge("espalier_shard_disk_bytes", "Bytes of the pack's files.", static_cast<double>(status.disk_bytes));
  page.gauge("espalier_shard_disk_budget_bytes", "Their budget; 0: none.", static_cast<double>(status.disk_budget));
  page.counter("espalier_shard_evicted_total", "Leaves that had to make room.", status.evicted);
  page.counter("espalier_shard_damaged_total", "Artefacts found to be damaged.", status.damaged);
  page.counter("espalier_shard_scrubbed_bytes_total", "Bytes that the scrub has looked at.", status.scrubbed_bytes);
}

}  // namespace

void ShardMetrics::add_answers(metrics::Page& page) {
  std::map<std::string, metrics::TopSeries::Counts> tenants;
  for (const auto& [model, reasons] : sum_of(status_.counts())) {
    // Those that are not counted one by one have no name.
    auto& counts = tenants[model.first.empty() ? metrics::TopSeries::kOthers : model.first];
    counts.resize(reasons.size());
    for (std::size_t i = 0; i < reasons.size(); ++i) counts[i] += reasons[i];
  }
  tenants_.update(tenants, [&](const std::string& tenant, const metrics::TopSeries::Counts& counts) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      page.counter("espalier_shard_parts_answered_total",
                   "Parts of predictions that were answered, by why the node that answered did.", counts[i],
                   {{"tenant", tenant}, {"reason", name_of(static_cast<wire::Reason>(i))}});
    }
  });
}

void ShardMetrics::add_requests(metrics::Page& page) const {
  std::array<std::uint64_t, AnswerCounts::kCodes> requests{};
  metrics::DurationCounts took, waited;
  for (const AnswerCounts* worker : status_.counts()) {
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i] += worker->requests[i].value();
    took += worker->took.read();
    waited += worker->waited.read();
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i] == 0 && i != 0) continue;
    page.counter("espalier_shard_requests_total", "Predictions answered, by the code of the reply.", requests[i],
                 {{"code", std::string(code_name(static_cast<Code>(i)))}});
  }
  page.durations("espalier_shard_answering_seconds",
                 "From when a prediction was taken up until it was answered, its wait in the queue left out.", took);
  page.durations("espalier_shard_waited_seconds",
                 "How long predictions waited on the way and in the queue, as far as can be told.", waited);
}

void ShardMetrics::add_parts(metrics::Page& page) const {
  for (std::size_t levels = 0; levels < AnswerCounts::kLevelsAbove; ++levels) {
    for (std::size_t reason = 0; reason < NodeCounts::kReasons; ++reason) {
      std::uint64_t count = 0;
      for (const AnswerCounts* worker : status_.counts()) count += worker->parts[levels][reason].value();
      if (count == 0) continue;
      page.counter("espalier_shard_parts_by_level_total",
                   "Parts answered, by how many levels above the node asked for the one that answered is, and why.",
                   count,
                   {{"levels_above", std::to_string(levels)}, {"reason", name_of(static_cast<wire::Reason>(reason))}});
    }
  }
  for (std::size_t code = 1; code < AnswerCounts::kCodes; ++code) {
    std::uint64_t count = 0;
    for (const AnswerCounts* worker : status_.counts()) count += worker->parts_failed[code].value();
    if (count == 0) continue;
    page.counter("espalier_shard_parts_failed_total", "Parts that have an error, of replies that are ok as a whole.",
                 count, {{"code", std::string(code_name(static_cast<Code>(code)))}});
  }
}

void ShardMetrics::fill(metrics::Page& page) {
  const wire::ShardStatusReply status = [&] {
    const auto table = reader_.lease();
    return status_.reply(*table);
  }();
  metrics::add_process(page, "shard", status.name);
  add_nodes(page, status);
  add_space(page, status);
  page.counter("espalier_shard_undelivered_total", "Replies that nobody took.", status.undelivered);
  std::map<wire::Reason, double> alerts;
  for (const wire::FallbackAlert& alert : status.alerts) ++alerts[alert.reason];
  for (const auto& [reason, count] : alerts) {
    page.gauge("espalier_shard_fallback_alerts", "Models that are answered for too often, by reason.", count,
               {{"reason", name_of(reason)}});
  }
  add_answers(page);
  add_requests(page);
  add_parts(page);
  progress_.fill(page, "espalier_shard", clock_.monotonic_us());
  metrics::add_disk(page, "espalier_shard", folder_);
  const metrics::MappedFiles packs = metrics::mapped_files(".pack");
  page.gauge("espalier_shard_mapped_bytes", "Of the pack's files, in this process.",
             static_cast<double>(packs.mapped_bytes));
  page.gauge("espalier_shard_mapped_resident_bytes", "Of these, the bytes that are in memory.",
             static_cast<double>(packs.resident_bytes));
}

}  // namespace espalier::shard
