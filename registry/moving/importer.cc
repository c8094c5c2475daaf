#include "registry/moving/importer.h"

#include <algorithm>

#include "common/bytes.h"

namespace espalier::registry {
namespace {

constexpr std::size_t kUuidsInStep = 512;
constexpr std::size_t kDatasetsInStep = 32;  ///< the registry reads each of their records

wire::ImportRequest request_of(const History& history, const Hash256& hash, wire::ImportStep step) {
  wire::ImportRequest request;
  request.tenant = history.tenant;
  request.model = history.model;
  request.history = hash;
  request.step = step;
  return request;
}

std::string packed(const std::vector<Uuid>& uuids, std::size_t from) {
  std::string bytes;
  for (std::size_t i = from; i < std::min(from + kUuidsInStep, uuids.size()); ++i) bytes += uuids[i].view();
  return bytes;
}

std::string packed(const std::vector<MovedDataset>& datasets, std::size_t from) {
  std::string bytes;
  for (std::size_t i = from; i < std::min(from + kDatasetsInStep, datasets.size()); ++i) {
    bytes.append(datasets[i].dataset.view()).append(datasets[i].file.view());
    append(bytes, datasets[i].rows);
  }
  return bytes;
}

}  // namespace

Result<wire::ImportReply> look_at(const History& history, const Hash256& hash, const AskImport& ask) {
  return look_at(history, hash, history.datasets, ask);
}

Result<wire::ImportReply> look_at(const History& history, const Hash256& hash,
                                  const std::vector<MovedDataset>& datasets, const AskImport& ask) {
  const wire::ImportRequest request = request_of(history, hash, wire::ImportStep::look);
  const std::size_t uuids = std::max({history.versions.size(), history.releases.size(), history.runs.size()});
  for (std::size_t step = 0;; ++step) {
    const std::size_t from = step * kUuidsInStep, from_dataset = step * kDatasetsInStep;
    std::vector<std::string> bodies = {packed(history.versions, from), packed(history.releases, from)};
    if (!history.runs.empty() || !datasets.empty()) {
      bodies.push_back(packed(history.runs, from));
      bodies.push_back(packed(datasets, from_dataset));
    }
    ASSIGN_OR_RETURN(auto reply, ask(request, std::move(bodies)));
    const bool is_last = from + kUuidsInStep >= uuids && from_dataset + kDatasetsInStep >= datasets.size();
    if (is_last || !reply.conflict.empty()) return reply;
  }
}

Result<wire::ImportReply> import_history(const History& history, const Hash256& hash, const AskImport& ask,
                                         const std::function<Uuid()>& new_uuid) {
  ASSIGN_OR_RETURN(auto reply, look_at(history, hash, ask));
  if (!reply.conflict.empty()) return Status(Code::already_exists, reply.conflict);
  while (reply.state != wire::ImportState::there && reply.commits < history.times.size()) {
    auto request = request_of(history, hash, wire::ImportStep::begin);
    request.idem = new_uuid();
    request.from = reply.commits;
    const auto from = history.times.begin() + static_cast<std::ptrdiff_t>(request.from);
    const std::size_t left = history.times.size() - request.from;
    request.times.assign(from,
                         from + static_cast<std::ptrdiff_t>(std::min<std::size_t>(left, 4 * history.most_in_step)));
    ASSIGN_OR_RETURN(reply, ask(request, {}));
  }
  while (reply.state != wire::ImportState::there && reply.records < history.records.size()) {
    auto request = request_of(history, hash, wire::ImportStep::records);
    request.idem = new_uuid();
    request.from = reply.records;
    ASSIGN_OR_RETURN(reply, ask(request, {history.slice(request.from).payload}));
  }
  if (reply.state != wire::ImportState::there) {
    auto request = request_of(history, hash, wire::ImportStep::finish);
    request.idem = new_uuid();
    request.from = history.records.size();
    ASSIGN_OR_RETURN(reply, ask(request, {}));
  }
  RETURN_IF_ERROR(import_datasets(history, hash, history.datasets, ask, new_uuid));
  return reply;
}

Status import_datasets(const History& history, const Hash256& hash, const std::vector<MovedDataset>& datasets,
                       const AskImport& ask, const std::function<Uuid()>& new_uuid) {
  for (std::size_t from = 0; from < datasets.size();) {
    const auto slice = slice_of(datasets, from);
    auto request = request_of(history, hash, wire::ImportStep::datasets);
    request.idem = new_uuid();
    RETURN_IF_ERROR(ask(request, {slice.payload}).status());
    from += slice.records;
  }
  return {};
}

Status abandon_import(const std::string& tenant, const std::string& model, const AskImport& ask,
                      const std::function<Uuid()>& new_uuid) {
  wire::ImportRequest request;
  request.tenant = tenant;
  request.model = model;
  request.step = wire::ImportStep::abandon;
  for (;;) {
    request.idem = new_uuid();
    ASSIGN_OR_RETURN(const auto reply, ask(request, {}));
    if (reply.state == wire::ImportState::absent) return {};
  }
}

}  // namespace espalier::registry
