#include "registry/moving/importer.h"

#include <algorithm>

namespace espalier::registry {
namespace {

constexpr std::size_t kUuidsInStep = 512;

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

}  // namespace

Result<wire::ImportReply> look_at(const History& history, const Hash256& hash, const AskImport& ask) {
  const wire::ImportRequest request = request_of(history, hash, wire::ImportStep::look);
  for (std::size_t from = 0;; from += kUuidsInStep) {
    ASSIGN_OR_RETURN(auto reply, ask(request, {packed(history.versions, from), packed(history.releases, from)}));
    const bool is_last = from + kUuidsInStep >= std::max(history.versions.size(), history.releases.size());
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
  if (reply.state == wire::ImportState::there) return reply;
  auto request = request_of(history, hash, wire::ImportStep::finish);
  request.idem = new_uuid();
  request.from = history.records.size();
  return ask(request, {});
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
