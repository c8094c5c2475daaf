// The registry's reads of runs and datasets.
#include "registry/operations.h"

namespace espalier::registry {

Result<wire::RunsReply> Registry::runs(const Principal& principal, const wire::RunsRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  if (request.runs.size() > kMaxRunsAsked) {
    return invalid_argument("runs: " + std::to_string(request.runs.size()) + " of them, at most " +
                            std::to_string(kMaxRunsAsked) + " are told at once");
  }
  wire::RunsReply reply;
  reply.generation = store_->generation();
  reply.epoch = store_->epoch();
  for (const Uuid& run : request.runs) {
    ASSIGN_OR_RETURN(reply.runs.emplace_back(), records_.runs.get(request.tenant, run));
  }
  return reply;
}

Result<wire::RunMetricsReply> Registry::run_metrics(const Principal& principal,
                                                    const wire::RunMetricsRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  return records_.runs.metrics(request);
}

Result<wire::RunFileReply> Registry::run_file(const Principal& principal, const wire::RunFileRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  return records_.runs.file(request);
}

Result<wire::DatasetsReply> Registry::datasets(const Principal& principal, const wire::DatasetsRequest& request) {
  RETURN_IF_ERROR(check_allowed(principal, request));
  if (request.datasets.size() > kMaxDatasetsAsked) {
    return invalid_argument("datasets: " + std::to_string(request.datasets.size()) + " of them, at most " +
                            std::to_string(kMaxDatasetsAsked) + " are told at once");
  }
  wire::DatasetsReply reply;
  reply.generation = store_->generation();
  reply.epoch = store_->epoch();
  for (const Hash256& dataset : request.datasets) {
    ASSIGN_OR_RETURN(reply.datasets.emplace_back(), records_.datasets.get(request.tenant, dataset));
  }
  return reply;
}

}  // namespace espalier::registry
