#include <algorithm>
#include <unordered_set>

#include "registry/keys.h"
#include "registry/publish.h"

namespace espalier::registry {
namespace {

class Move {
 public:
  Move(Records& records, const Principal& principal, const wire::MoveRequest& request, Batch& batch)
      : records_(records),
        principal_(principal),
        request_(request),
        batch_(batch),
        now_(batch.epoch() - 1),
        movements_(batch, request.tenant, request.model, request.tag) {}

  Result<wire::ReleaseReply> prepare(const std::vector<std::string_view>& bodies) {
    RETURN_IF_ERROR(check_names(request_.tenant, request_.model, request_.tag));
    RETURN_IF_ERROR(check_text("note", request_.note, kMaxNoteBytes, false));
    RETURN_IF_ERROR(records_.releases.check_free(request_.tenant, request_.release));
    ASSIGN_OR_RETURN(model_, records_.models.get(request_.tenant, request_.model, now_));
    RETURN_IF_ERROR(records_.releases.check_last(expected_of(request_), now_));
    RETURN_IF_ERROR(movements_.refuse_collected(records_.collected));
    if (request_.from_release.is_nil()) {
      RETURN_IF_ERROR(move_entries(bodies));
    } else {
      if (!bodies.empty()) return invalid_argument("from_release: with it, entries are not taken");
      RETURN_IF_ERROR(take_state());
    }
    if (!std::ranges::binary_search(model_.tags, request_.tag)) {
      RETURN_IF_ERROR(add_tag(model_, request_.tag));
      Models::put(batch_, model_);
    }
    wire::ReleaseRecord release;
    release.release = request_.release;
    release.tag = request_.tag;
    release.principal = principal_.name();
    release.note = request_.note;
    return finish_release(records_, model_, std::move(release), movements_, batch_);
  }

 private:
  Status move_entries(const std::vector<std::string_view>& bodies) {
    std::size_t i = 0;
    for (std::size_t body = 0; body < bodies.size(); ++body) {
      auto entries = wire::decode_array<wire::TagEntry>(bodies[body]);
      if (!entries.ok()) return entries.status().at("body " + std::to_string(body));
      for (auto& entry : *entries) RETURN_IF_ERROR(move(entry).at("entries[" + std::to_string(i++) + "]"));
    }
    if (i == 0) return invalid_argument("entries: a move needs at least one, or from_release");
    return {};
  }

  Status move(wire::TagEntry& entry) {
    RETURN_IF_ERROR(check_partition(entry.partition, model_.levels.size()));
    const std::string components = keys::components(entry.partition);
    if (!nodes_.insert(components).second) return invalid_argument("partition: named twice in this release");
    if (entry.kind == wire::EntryKind::version) {
      ASSIGN_OR_RETURN(const auto version, records_.versions.get(request_.tenant, request_.model, entry.version));
      if (version.partition != entry.partition) {
        return invalid_argument("version: " + entry.version.text() + " is a version of another node");
      }
      entry.artefact = version.artefact;
      entry.artefact_bytes = version.artefact_bytes;
    } else if (!entry.version.is_nil()) {
      return invalid_argument("version: only an entry of kind version has one");
    }
    entry.release = request_.release;
    movements_.add(components, entry);
    return {};
  }

  /// Only nodes that differ are moved.
  Status take_state() {
    ASSIGN_OR_RETURN(const auto from, records_.releases.get(request_.tenant, request_.model, request_.from_release));
    const TagState present{keys::tag_prefix(request_.tenant, request_.model, request_.tag), now_};
    const TagState wanted{keys::tag_prefix(request_.tenant, request_.model, from.tag), from.epoch};
    return records_.tags
        .each_difference(present, wanted, {},
                         [&](std::string_view components, const wire::TagEntry&, wire::TagEntry entry) {
                           entry.release = request_.release;
                           movements_.add(components, entry);
                           return true;
                         })
        .status();
  }

  Records& records_;
  const Principal& principal_;
  const wire::MoveRequest& request_;
  Batch& batch_;
  const std::uint64_t now_;  ///< epoch that the release follows
  TagMovements movements_;
  wire::ModelRecord model_;
  std::unordered_set<std::string> nodes_;
};

}  // namespace

Result<wire::ReleaseReply> prepare_move(Records& records, const Principal& principal, const wire::MoveRequest& request,
                                        const std::vector<std::string_view>& bodies, Batch& batch) {
  return Move(records, principal, request, batch).prepare(bodies);
}

}  // namespace espalier::registry
