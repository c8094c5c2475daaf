#include "registry/space/collection.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/scheduling.h"
#include "registry/keys.h"

namespace espalier::registry {

Collection::Collection(Records& records, wire::Receipt receipt, std::size_t work)
    : records_(records),
      receipt_(std::move(receipt)),
      work_(work),
      marks_(std::make_unique<Marks>(records, receipt_.tenant, receipt_.model, receipt_.started_us)) {}

Result<bool> Collection::step() {
  if (phase_ == Phase::done) return false;
  RETURN_IF_ERROR(step_phase());
  return phase_ != Phase::done;
}

Status Collection::step_phase() {
  if (phase_ == Phase::mark) {
    ASSIGN_OR_RETURN(const bool more, marks_->mark_some(work_));
    if (more) return {};
    ASSIGN_OR_RETURN(const std::uint64_t bytes, records_.artefacts.disk_bytes(receipt_.tenant));
    if (receipt_.disk_before == 0) receipt_.disk_before = bytes;
    phase_ = Phase::versions;
    return {};
  }
  if (phase_ <= Phase::artefacts) {
    ASSIGN_OR_RETURN(const bool is_overtaken, marks_->is_overtaken());
    if (is_overtaken) {
      mark_anew();
      return {};
    }
    ASSIGN_OR_RETURN(const bool more, marks_->catch_up(work_));
    if (more) return {};
  }
  switch (phase_) {
    case Phase::versions: return receipt_.dry_run ? make_plan() : collect_versions();
    case Phase::artefacts: return collect_artefacts();
    case Phase::unrecorded: return forget_unrecorded();
    case Phase::bytes: {
      ASSIGN_OR_RETURN(const bool more, records_.artefacts.compact_some(receipt_.tenant));
      if (!more) phase_ = Phase::finish;
      return {};
    }
    case Phase::finish: return finish();
    default: return {};
  }
}

void Collection::mark_anew() {
  log::info("registry", "a collection marks anew: the feed's horizon has passed it", {{"tenant", receipt_.tenant}});
  marks_ = std::make_unique<Marks>(records_, receipt_.tenant, receipt_.model, receipt_.started_us);
  phase_ = Phase::mark;
  place_ = 0;
  if (!receipt_.dry_run) return;
  plan_.clear();
  receipt_.versions = receipt_.artefacts = receipt_.artefact_bytes = 0;
}

template <class Doomed>
std::vector<const Doomed*> Collection::next_doomed(const std::vector<Doomed>& doomed, std::size_t& place) const {
  std::vector<const Doomed*> next;
  for (; place < doomed.size() && next.size() < kItemsInChunk; ++place) {
    if (!marks_->is_kept(doomed[place])) next.push_back(&doomed[place]);
  }
  return next;
}

Result<wire::ReceiptItem> Collection::item_of(const DoomedVersion& version) const {
  wire::ReceiptItem item;
  item.model = marks_->models()[version.model];
  ASSIGN_OR_RETURN(item.partition, model::split_components(version.components));
  item.version = version.version;
  item.artefact = version.artefact;
  item.bytes = version.bytes;
  return item;
}

Status Collection::collect_versions() {
  std::size_t place = place_;
  const auto doomed = next_doomed(marks_->versions(), place);
  if (doomed.empty()) {
    phase_ = Phase::artefacts;
    place_ = 0;
    return {};
  }
  ASSIGN_OR_RETURN(Batch batch, records_.store.begin());
  wire::Receipt receipt = receipt_;
  std::vector<wire::ReceiptItem> items;
  for (const DoomedVersion* version : doomed) {
    give_way();
    Collected::put(batch, receipt.tenant, version->version, receipt.receipt);
    ASSIGN_OR_RETURN(wire::ReceiptItem item, item_of(*version));
    items.push_back(std::move(item));
  }
  receipt.versions += doomed.size();
  Receipts::add_items(batch, receipt, items);
  Receipts::put(batch, receipt);
  RETURN_IF_ERROR(records_.store.commit(batch));
  receipt_ = std::move(receipt);
  place_ = place;
  return {};
}

Status Collection::collect_artefacts() {
  std::size_t place = place_;
  const auto doomed = next_doomed(marks_->artefacts(), place);
  if (doomed.empty()) {
    ASSIGN_OR_RETURN(unrecorded_, records_.artefacts.hashes(receipt_.tenant));
    phase_ = Phase::unrecorded;
    return {};
  }
  ASSIGN_OR_RETURN(Batch batch, records_.store.begin());
  wire::Receipt receipt = receipt_;
  std::vector<wire::ReceiptItem> items;
  for (const DoomedArtefact* artefact : doomed) {
    give_way();
    ASSIGN_OR_RETURN(const auto record, records_.artefacts.find(receipt.tenant, artefact->artefact));
    // Somebody may have uploaded it again, and be about to name it.
    if (!record || record->uploaded_us != artefact->uploaded_us) continue;
    batch.remove(keys::artefact(receipt.tenant, artefact->artefact));
    wire::ReceiptItem item;
    item.is_artefact = true;
    item.artefact = artefact->artefact;
    item.bytes = artefact->bytes;
    receipt.artefact_bytes += item.bytes;
    items.push_back(std::move(item));
  }
  if (!items.empty()) {
    receipt.artefacts += items.size();
    Receipts::add_items(batch, receipt, items);
    Receipts::put(batch, receipt);
    const Status committed = records_.store.commit(batch);
    if (!committed.ok()) records_.quotas.forget(receipt.tenant);
    RETURN_IF_ERROR(committed);
    records_.quotas.removed(receipt.tenant, receipt.artefact_bytes - receipt_.artefact_bytes);
  }
  receipt_ = std::move(receipt);
  place_ = place;
  return {};
}

/// What the pack has and no record knows of: what was given up above, and what uploads and collections left that were
/// cut short.
Status Collection::forget_unrecorded() {
  // After a failed write only this tells which records there are.
  RETURN_IF_ERROR(records_.store.begin().status());
  for (std::size_t work = work_; work > 0 && !unrecorded_.empty(); --work) {
    give_way();
    ASSIGN_OR_RETURN(const auto record, records_.artefacts.find(receipt_.tenant, unrecorded_.back()));
    if (!record) RETURN_IF_ERROR(records_.artefacts.forget(receipt_.tenant, unrecorded_.back()));
    unrecorded_.pop_back();
  }
  if (unrecorded_.empty()) phase_ = Phase::bytes;
  return {};
}

Status Collection::finish() {
  ASSIGN_OR_RETURN(Batch batch, records_.store.begin());
  wire::Receipt receipt = receipt_;
  ASSIGN_OR_RETURN(receipt.disk_after, records_.artefacts.disk_bytes(receipt.tenant));
  receipt.finished_us = batch.time_us();
  if (!receipt.dry_run) {
    Receipts::put(batch, receipt);
    RETURN_IF_ERROR(records_.store.commit(batch));
    log::info("registry", "collected",
              {{"tenant", receipt.tenant},
               {"model", receipt.model},
               {"versions", receipt.versions},
               {"artefacts", receipt.artefacts},
               {"bytes", receipt.artefact_bytes},
               {"disk_before", receipt.disk_before},
               {"disk_after", receipt.disk_after}});
  }
  receipt_ = std::move(receipt);
  marks_.reset();
  phase_ = Phase::done;
  return {};
}

Status Collection::make_plan() {
  for (std::size_t work = work_; work > 0 && place_ < marks_->versions().size(); --work, ++place_) {
    const DoomedVersion& version = marks_->versions()[place_];
    if (marks_->is_kept(version)) continue;
    ASSIGN_OR_RETURN(wire::ReceiptItem item, item_of(version));
    plan_.push_back(std::move(item));
    ++receipt_.versions;
  }
  if (place_ < marks_->versions().size()) return {};
  for (const DoomedArtefact& artefact : marks_->artefacts()) {
    give_way();
    if (marks_->is_kept(artefact)) continue;
    wire::ReceiptItem item;
    item.is_artefact = true;
    item.artefact = artefact.artefact;
    item.bytes = artefact.bytes;
    plan_.push_back(std::move(item));
    ++receipt_.artefacts;
    receipt_.artefact_bytes += artefact.bytes;
  }
  receipt_.chunks = static_cast<std::uint32_t>((plan_.size() + kItemsInChunk - 1) / kItemsInChunk);
  phase_ = Phase::finish;
  return {};
}

}  // namespace espalier::registry
