#include "registry/rollback.h"

#include <algorithm>

#include "common/hash.h"
#include "registry/differences.h"
#include "registry/keys.h"
#include "registry/publish.h"
#include "registry/query_cursor.h"
#include "registry/search/filter.h"
#include "registry/search/kinds.h"
#include "registry/search/search.h"
#include "registry/search/version_item.h"

namespace espalier::registry {
namespace {

/// Nodes of one page of a preview by filter: each costs several looks into the store.
constexpr std::size_t kMostFound = 256;

/// Which tag, where, and back to what: what a rollback and its preview share.
struct Way {
  const std::string &tenant, &model, &tag;
  const wire::RollbackTo& to;
  const std::vector<std::string>& under;

  std::string prefix() const { return keys::tag_prefix(tenant, model, tag); }
};
template <class Request>
Way way_of(const Request& request) {
  return {request.tenant, request.model, request.tag, request.to, request.under};
}

Status check_to(const wire::RollbackTo& to) {
  const int given =
      (to.release.is_nil() ? 0 : 1) + (to.epoch == 0 ? 0 : 1) + (to.time_us == 0 ? 0 : 1) + (to.where.empty() ? 0 : 1);
  if (given == 1 && !to.where.empty() && to.where.find_first_not_of(" \t\r\n") == std::string::npos) {
    return invalid_argument("to.where: blank, which every version passes; 'rows >= 0' says so");
  }
  if (given == 1) return {};
  return invalid_argument("to: exactly one of release, epoch, time_us and where is needed, " + std::to_string(given) +
                          " are given");
}

/// The model, which has the tag as of `epoch`.
Result<wire::ModelRecord> model_of(Records& records, const Way& way, std::uint64_t epoch) {
  ASSIGN_OR_RETURN(auto model, records.models.get(way.tenant, way.model, epoch));
  if (std::ranges::binary_search(model.tags, way.tag)) return model;
  return not_found("tag " + way.tag + " of model " + way.tenant + "/" + way.model);
}

/// The epoch to go back to. REQUIRES: check_to(), and not by filter.
Result<std::uint64_t> epoch_of(Records& records, const Way& way) {
  std::uint64_t epoch = 0;
  if (!way.to.release.is_nil()) {
    ASSIGN_OR_RETURN(const auto release, records.releases.get(way.tenant, way.model, way.to.release));
    if (release.tag != way.tag) {
      return invalid_argument("to.release: " + way.to.release.text() + " moved tag " + release.tag + ", not " +
                              way.tag);
    }
    epoch = release.epoch;
  } else {
    ASSIGN_OR_RETURN(epoch, records.imports.as_of(records.feed, way.tenant, way.model, way.to.epoch, way.to.time_us));
  }
  ASSIGN_OR_RETURN(const auto last, records.releases.last_of(way.tenant, way.model, way.tag, epoch));
  if (last) return epoch;
  return failed_precondition("to: tag " + way.tag + " was not moved yet as of epoch " + std::to_string(epoch) +
                             "; there is nothing to go back to");
}

std::string filter_text(std::string_view text) {
  std::string literal = "'";
  for (const char c : text) literal.append(c == '\'' ? 2 : 1, c);
  return literal + "'";
}

/// The search for the versions that the tag points at and that pass. invalid_argument: the filter, with a caret.
Result<wire::SearchRequest> search_of(const Way& way) {
  const auto filter = search::Filter::parse(way.to.where, search::versions_kind().fields());
  if (!filter.ok()) return filter.status().at("to");
  ASSIGN_OR_RETURN(const auto under, model::Partition::from_values(way.under));
  wire::SearchRequest request;
  request.kind = "versions";
  request.tenant = way.tenant;
  request.model = way.model;
  request.where = "(" + way.to.where + ") and tag = " + filter_text(way.tag);
  if (!under.is_root()) request.where += " and partition under " + filter_text(under.text());
  return request;
}

/// Calls take(components, entries) for each node that a page of the search found.
template <class Take>
Status each_found(Records& records, const Way& way, const wire::SearchReply& page, Take take) {
  const std::string prefix = way.prefix();
  ASSIGN_OR_RETURN(const auto cursor, records.store.scan());
  for (const wire::SearchRow& row : page.rows) {
    ASSIGN_OR_RETURN(const auto version, wire::decode<wire::VersionRecord>(row.record));
    const std::string components = keys::components(version.partition);
    ASSIGN_OR_RETURN(const Replaced entries,
                     Tags::replaced_by(*cursor, prefix, components, page.epoch, {version.version, version.epoch}));
    RETURN_IF_ERROR(take(components, entries));
  }
  return {};
}

}  // namespace

Result<wire::ReleaseReply> prepare_rollback(Records& records, const Principal& principal,
                                            const wire::RollbackRequest& request, Batch& batch) {
  const std::uint64_t now = batch.epoch() - 1;
  const Way way = way_of(request);
  RETURN_IF_ERROR(check_to(request.to));
  RETURN_IF_ERROR(check_text("note", request.note, kMaxNoteBytes, false));
  ASSIGN_OR_RETURN(const auto model, model_of(records, way, now));
  RETURN_IF_ERROR(records.releases.check_free(request.tenant, request.release));
  RETURN_IF_ERROR(records.releases.check_last(expected_of(request), now));
  TagMovements movements(batch, request.tenant, request.model, request.tag);
  RETURN_IF_ERROR(movements.refuse_collected(records.collected));
  const auto go_back = [&](std::string_view components, wire::TagEntry to) {
    to.release = request.release;
    movements.add(components, to);
  };
  if (!request.to.where.empty()) {
    ASSIGN_OR_RETURN(const wire::SearchRequest asked, search_of(way));
    ASSIGN_OR_RETURN(const auto cursor, records.store.scan());
    const std::string prefix = way.prefix();
    RETURN_IF_ERROR(search::each_version(records, principal, asked, [&](const search::VersionItem& found) -> Status {
      ASSIGN_OR_RETURN(const Replaced entries, Tags::replaced_by(*cursor, prefix, found.components, now,
                                                                 {found.record.version, found.record.epoch}));
      go_back(found.components, entries.before);
      return {};
    }));
  } else {
    ASSIGN_OR_RETURN(const std::uint64_t epoch, epoch_of(records, way));
    DifferenceScan scan;
    scan.under = keys::components(request.under);
    RETURN_IF_ERROR(records.tags
                        .each_difference({way.prefix(), now}, {way.prefix(), epoch}, scan,
                                         [&](std::string_view components, const wire::TagEntry&,
                                             const wire::TagEntry& was) { return go_back(components, was), true; })
                        .status());
  }
  wire::ReleaseRecord release;
  release.release = request.release;
  release.tag = request.tag;
  release.principal = principal.name();
  release.note = request.note;
  return finish_release(records, model, std::move(release), movements, batch);
}

Result<wire::DifferencesReply> preview_rollback(Records& records, const Principal& principal,
                                                const wire::RollbackPreviewRequest& request, std::size_t most_work) {
  const Way way = way_of(request);
  RETURN_IF_ERROR(check_to(request.to));
  wire::RollbackPreviewRequest shared = request;
  shared.cursor.clear();
  shared.limit = 0;
  wire::DifferencesReply reply;
  reply.generation = records.store.generation();
  const std::uint64_t query = xxh3_64(wire::encode(shared), xxh3_64(principal.name()));
  ASSIGN_OR_RETURN(QueryCursor cursor, QueryCursor::parse(request.cursor, query, reply.generation));
  ASSIGN_OR_RETURN(cursor.epoch, records.feed.as_of(cursor.epoch, 0));
  reply.epoch = cursor.epoch;
  RETURN_IF_ERROR(model_of(records, way, cursor.epoch).status());
  DifferencePage page(records, request.tenant, request.model, request.limit, most_work);
  if (!request.to.where.empty()) {
    ASSIGN_OR_RETURN(wire::SearchRequest asked, search_of(way));
    asked.epoch = cursor.epoch;
    asked.limit = static_cast<std::uint32_t>(std::min(page.limit(), kMostFound));
    asked.cursor = std::move(cursor.position);
    ASSIGN_OR_RETURN(const auto found, search::search(records, principal, asked, most_work));
    RETURN_IF_ERROR(each_found(records, way, found, [&](const std::string& components, const Replaced& entries) {
      return page.add(components, entries.is, entries.before);
    }));
    cursor.position = found.cursor;
  } else {
    // A time ahead of the clock is as of now, which for all pages is the first one's.
    ASSIGN_OR_RETURN(const std::uint64_t to, epoch_of(records, way));
    const std::uint64_t epoch = std::min(to, cursor.epoch);
    ASSIGN_OR_RETURN(cursor.position, page.fill({way.prefix(), cursor.epoch}, {way.prefix(), epoch},
                                                keys::components(request.under), cursor.position));
  }
  reply.nodes = page.take();
  if (!cursor.position.empty()) reply.cursor = cursor.text();
  return reply;
}

}  // namespace espalier::registry
