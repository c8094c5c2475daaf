// The messages of runs, for sample_messages.h.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "wire/messages.h"
#include "wire/run_messages.h"

namespace espalier::wire::samples {

inline std::vector<std::pair<std::string, std::string>> run_messages(const Uuid& idem, const Uuid& run,
                                                                     const Hash256& spec, const Hash256& dataset) {
  const RunStartRequest start{idem,           "acme", "total", run, "first", "with the new zones", {{"owner", "eta"}},
                              "{\"seed\":7}", spec,   dataset};
  const RunLogRequest log{idem, "acme", run, "{\"depth\":3}", {{"rmse", 10, 81.5, 1'763'672'558'000'000}}};
  const RunFile file{"plot.svg", dataset, 6, 1'763'672'558'000'000};
  RunRecord record{run, "acme", "total", "first", "with the new zones", {{"owner", "eta"}}, "{\"seed\":7}", spec};
  record.dataset = dataset;
  record.principal = "local";
  record.created_us = 1'763'672'558'000'000;
  record.epoch = 11;
  record.status = RunStatus::failed;
  record.ended_us = 1'763'672'559'000'000;
  record.message = "no disk";
  record.metrics["rmse"] = {81.5, 10, 1'763'672'558'000'000, 4};
  record.files = {file};
  const RunState state{record.status, record.ended_us, record.message, record.params_json, record.files};
  const RunMetricsReply points{{{"rmse", 10, 81.5, 1'763'672'558'000'000}}, "\1\2"};
  return {{"run_start.request", encode(start)},
          {"run_log.request", encode(log)},
          {"run_attach.request", encode(RunAttachRequest{idem, "acme", run, "plot.svg", "<svg/>"})},
          {"run_end.request", encode(RunEndRequest{idem, "acme", run, RunStatus::failed, "no disk"})},
          {"runs.request", encode(RunsRequest{"acme", {run}})},
          {"runs.reply", encode_reply(Status(), RunsReply{1, 11, {record}})},
          {"run_metrics.request", encode(RunMetricsRequest{"acme", run, "rmse", "\1\2", 100})},
          {"run_metrics.reply", encode_reply(Status(), points)},
          {"run_file.request", encode(RunFileRequest{"acme", run, "plot.svg"})},
          {"run_file.reply", encode_reply(Status(), RunFileReply{file, "<svg/>"})},
          {"run.state", encode(state)},
          {"run.last", encode(RunLast{record.metrics})}};
}

}  // namespace espalier::wire::samples
