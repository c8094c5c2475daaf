#include "registry/promote.h"

#include <algorithm>
#include <map>

#include "registry/keys.h"
#include "registry/publish.h"
#include "registry/tag_nodes.h"

namespace espalier::registry {
namespace {

using wire::EntryKind;
using wire::TagEntry;

class Promotion {
 public:
  Promotion(Records& records, const Principal& principal, const wire::PromoteRequest& request, Batch& batch)
      : records_(records),
        principal_(principal),
        request_(request),
        batch_(batch),
        now_(batch.epoch() - 1),
        movements_(batch, request.tenant, request.model, request.to) {}

  Result<wire::ReleaseReply> prepare() {
    RETURN_IF_ERROR(check());
    RETURN_IF_ERROR(movements_.refuse_collected(records_.collected));
    ASSIGN_OR_RETURN(from_, state(request_.from));
    if (from_.empty()) {
      return failed_precondition("from: tag " + request_.from + " says nothing of a node there; nothing to promote");
    }
    ASSIGN_OR_RETURN(to_, state(request_.to));
    move_to();
    RETURN_IF_ERROR(begin(request_.to, request_.release));
    if (!request_.archive.empty() && !replaced_.empty()) RETURN_IF_ERROR(archive());
    if (!request_.keep) RETURN_IF_ERROR(empty_from());
    return finish();
  }

 private:
  using State = std::map<std::string, TagEntry>;

  Status check() {
    RETURN_IF_ERROR(check_names(request_.tenant, request_.model, request_.to));
    RETURN_IF_ERROR(model::check_name("from", request_.from));
    if (!request_.archive.empty()) RETURN_IF_ERROR(model::check_name("archive", request_.archive));
    if (request_.from == request_.to) return invalid_argument("to: the same tag as from");
    if (request_.archive == request_.from || request_.archive == request_.to) {
      return invalid_argument("archive: tag " + request_.archive + " is one of the two that it is to keep apart from");
    }
    RETURN_IF_ERROR(check_text("note", request_.note, kMaxNoteBytes, false));
    ASSIGN_OR_RETURN(model_, records_.models.get(request_.tenant, request_.model, now_));
    if (!std::ranges::binary_search(model_.tags, request_.from)) {
      return not_found("tag " + request_.from + " of model " + request_.tenant + "/" + request_.model);
    }
    RETURN_IF_ERROR(check_partition(request_.under, model_.levels.size()).at("under"));
    std::vector<const Uuid*> releases = {&request_.release};
    if (!request_.keep) releases.push_back(&request_.from_release);
    if (!request_.archive.empty()) releases.push_back(&request_.archive_release);
    for (std::size_t i = 0; i < releases.size(); ++i) {
      RETURN_IF_ERROR(records_.releases.check_free(request_.tenant, *releases[i]));
      for (std::size_t j = 0; j < i; ++j) {
        if (*releases[i] == *releases[j]) return invalid_argument("release: each tag needs a UUID of its own");
      }
    }
    return records_.releases.check_last(
        {request_.tenant, request_.model, request_.to, request_.expected_release, false}, now_);
  }

  Result<State> state(const std::string& tag) {
    State state;
    const std::string prefix = keys::tag_prefix(request_.tenant, request_.model, tag);
    RETURN_IF_ERROR(records_.tags.each(prefix, now_, keys::components(request_.under), {},
                                       [&](std::string_view components, TagEntry entry) {
                                         state.emplace_hint(state.end(), components, std::move(entry));
                                         return true;
                                       }));
    return state;
  }

  Status begin(const std::string& tag, const Uuid& release) {
    RETURN_IF_ERROR(add_tag(model_, tag));
    wire::ReleaseRecord record;
    record.release = release;
    record.tag = tag;
    record.principal = principal_.name();
    record.note = request_.note;
    releases_.push_back(std::move(record));
    return {};
  }

  void add(std::string_view components, TagEntry entry, const Uuid& release) {
    entry.release = release;
    movements_.add(components, entry);
  }

  void move_to() {
    for (const auto& [components, entry] : from_) {
      const auto has = to_.find(components);
      if (has != to_.end() && is_same(has->second, entry)) continue;
      add(components, entry, request_.release);
      if (has != to_.end()) replaced_.push_back(has);
    }
    if (!request_.replace) return;
    for (auto has = to_.begin(); has != to_.end(); ++has) {
      if (from_.contains(has->first)) continue;
      add(has->first, unset_entry(), request_.release);
      replaced_.push_back(has);
    }
  }

  Status archive() {
    ASSIGN_OR_RETURN(const State archived, state(request_.archive));
    bool has_begun = false;
    for (const auto replaced : replaced_) {
      const auto& [components, entry] = *replaced;
      if (entry.kind != EntryKind::version) continue;
      if (const auto has = archived.find(components); has != archived.end() && is_same(has->second, entry)) continue;
      if (!std::exchange(has_begun, true)) {
        movements_.begin(request_.archive);
        RETURN_IF_ERROR(begin(request_.archive, request_.archive_release));
      }
      add(components, entry, request_.archive_release);
    }
    return {};
  }

  Status empty_from() {
    movements_.begin(request_.from);
    RETURN_IF_ERROR(begin(request_.from, request_.from_release));
    for (const auto& [components, entry] : from_) add(components, unset_entry(), request_.from_release);
    return {};
  }

  Result<wire::ReleaseReply> finish() {
    ASSIGN_OR_RETURN(const auto before, records_.models.get(request_.tenant, request_.model, now_));
    if (before.tags != model_.tags) Models::put(batch_, model_);
    return finish_releases(records_, model_, std::move(releases_), movements_, batch_);
  }

  Records& records_;
  const Principal& principal_;
  const wire::PromoteRequest& request_;
  Batch& batch_;
  const std::uint64_t now_;  ///< epoch that the releases follow
  TagMovements movements_;
  wire::ModelRecord model_;
  State from_, to_;
  std::vector<State::const_iterator> replaced_;  ///< of to_: what is there no longer
  std::vector<wire::ReleaseRecord> releases_;    ///< in the order of movements_
};

}  // namespace

Result<wire::ReleaseReply> prepare_promote(Records& records, const Principal& principal,
                                           const wire::PromoteRequest& request, Batch& batch) {
  return Promotion(records, principal, request, batch).prepare();
}

std::vector<std::string> chain_of(const std::vector<wire::Overlay>& overlays, const std::string& tag) {
  std::vector<std::string> chain = {tag};
  while (chain.size() <= overlays.size()) {
    const auto at = std::ranges::find(overlays, chain.back(), &wire::Overlay::tag);
    if (at == overlays.end()) break;
    chain.push_back(at->on);
  }
  return chain;
}

Status check_overlays(const std::vector<wire::Overlay>& overlays, const std::vector<std::string>& tags) {
  if (std::ranges::adjacent_find(overlays, std::ranges::greater_equal(), &wire::Overlay::tag) != overlays.end()) {
    return invalid_argument("overlays: not in order, or one tag twice");
  }
  for (const wire::Overlay& overlay : overlays) {
    for (const std::string* tag : {&overlay.tag, &overlay.on}) {
      if (!std::ranges::binary_search(tags, *tag)) {
        return invalid_argument("overlays: tag " + *tag + " is not one of the model's");
      }
    }
    auto at = std::ranges::lower_bound(overlays, overlay.on, {}, &wire::Overlay::tag);
    std::size_t in_chain = 2;
    for (std::string_view on = overlay.on; at != overlays.end() && at->tag == on; ++in_chain) {
      if (in_chain == kMaxTagsInChain) {
        return invalid_argument("overlays: a loop, or more than " + std::to_string(kMaxTagsInChain) +
                                " tags on each other, from tag " + overlay.tag + " on");
      }
      on = at->on;
      at = std::ranges::lower_bound(overlays, on, {}, &wire::Overlay::tag);
    }
  }
  return {};
}

Result<std::vector<wire::Overlay>> with_overlay(std::vector<wire::Overlay> overlays, const std::string& tag,
                                                const std::string& on) {
  std::erase_if(overlays, [&](const wire::Overlay& overlay) { return overlay.tag == tag; });
  if (on.empty()) return overlays;
  const auto text = [](const std::vector<std::string>& chain) {
    std::string words;
    for (const auto& name : chain) words.append(words.empty() ? "" : " on ").append(name);
    return words;
  };
  std::vector<std::string> below = chain_of(overlays, on);
  below.insert(below.begin(), tag);
  if (const auto again = std::find(below.begin() + 1, below.end(), tag); again != below.end()) {
    return failed_precondition("on: a loop: " + text({below.begin(), again + 1}));
  }
  overlays.insert(std::ranges::lower_bound(overlays, tag, {}, &wire::Overlay::tag), {tag, on});
  for (const wire::Overlay& overlay : overlays) {
    const auto chain = chain_of(overlays, overlay.tag);
    if (chain.size() <= kMaxTagsInChain) continue;
    return failed_precondition("on: " + std::to_string(chain.size()) + " tags on each other, at most " +
                               std::to_string(kMaxTagsInChain) + " are allowed: " + text(chain));
  }
  return overlays;
}

Result<wire::EpochReply> prepare_overlay(Records& records, const wire::OverlayRequest& request, Batch& batch) {
  RETURN_IF_ERROR(check_names(request.tenant, request.model, request.tag));
  if (!request.on.empty()) RETURN_IF_ERROR(model::check_name("on", request.on));
  if (request.on == request.tag) return invalid_argument("on: tag " + request.tag + " on itself");
  ASSIGN_OR_RETURN(auto model, records.models.get(request.tenant, request.model, batch.epoch() - 1));
  const std::string of_model = " of model " + request.tenant + "/" + request.model;
  if (!request.on.empty() && !std::ranges::binary_search(model.tags, request.on)) {
    return not_found("tag " + request.on + of_model);
  }
  if (request.on.empty() && !std::ranges::binary_search(model.tags, request.tag)) {
    return not_found("tag " + request.tag + of_model);
  }
  const std::string before = wire::encode(model);
  ASSIGN_OR_RETURN(model.overlays, with_overlay(std::move(model.overlays), request.tag, request.on));
  RETURN_IF_ERROR(add_tag(model, request.tag));
  wire::EpochReply reply;
  reply.generation = records.store.generation();
  if (wire::encode(model) == before) {
    ASSIGN_OR_RETURN(reply.epoch, records.feed.newest());
    return reply;
  }
  Models::put(batch, model);
  wire::Change change;
  change.kind = wire::ChangeKind::model;
  change.tenant = request.tenant;
  change.model = request.model;
  change.tag = request.tag;
  change.levels = static_cast<std::uint32_t>(model.levels.size());
  RETURN_IF_ERROR(records.feed.put(batch, std::move(change)));
  reply.epoch = batch.epoch();
  return reply;
}

}  // namespace espalier::registry
