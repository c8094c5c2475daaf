#include "registry/pending_changes.h"

#include <utility>

namespace espalier::registry {
namespace {

using ChangedRecords = PendingChanges::Records;

/// Goes along two ordered lists at once. Forward, each of them stands at its first record that is not before the place;
/// backward, at its last one that is not behind it.
class MergedCursor final : public Cursor {
 public:
  MergedCursor(std::unique_ptr<Cursor> below, std::shared_ptr<const ChangedRecords> changes)
      : below_(std::move(below)), changes_(std::move(changes)) {}

  bool valid() const override {
    return at_ == At::below ? below_->valid() : at_ == At::change && below_->status().ok();
  }
  std::string_view key() const override { return at_ == At::change ? change_->first : below_->key(); }
  std::string_view value() const override { return at_ == At::change ? *change_->second : below_->value(); }
  Status status() const override { return below_->status(); }

  void seek(std::string_view key) override {
    below_->seek(key);
    change_ = changes_->lower_bound(key);
    is_forward_ = true;
    settle();
  }
  void seek_before(std::string_view key) override {
    below_->seek_before(key);
    change_ = before(changes_->lower_bound(key));
    is_forward_ = false;
    settle();
  }
  void next() override {
    if (!is_forward_) seek(std::string(key()));
    if (at_ == At::end) return;
    step();
    settle();
  }
  void previous() override {
    if (is_forward_) return seek_before(std::string(key()));
    step();
    settle();
  }

 private:
  enum class At { end, change, below };
  using Place = ChangedRecords::const_iterator;

  /// The end of the list stands for "none" in either direction.
  Place before(Place place) const { return place == changes_->begin() ? changes_->end() : std::prev(place); }
  void step_below() { is_forward_ ? below_->next() : below_->previous(); }
  void step_change() { change_ = is_forward_ ? std::next(change_) : before(change_); }

  /// Past the record that the cursor stands at.
  void step() {
    if (at_ == At::below) return step_below();
    if (below_->valid() && below_->key() == change_->first) step_below();
    step_change();
  }
  /// To the nearer of the two; a change hides what lies below it, and a removed record is passed over.
  void settle() {
    for (;;) {
      at_ = At::end;
      const bool has_change = change_ != changes_->end();
      if (!has_change || (below_->valid() && is_nearer(below_->key(), change_->first))) {
        if (below_->valid()) at_ = At::below;
        return;
      }
      // What can't be read below may be the record that comes next.
      if (!below_->valid() && !below_->status().ok()) return;
      at_ = At::change;
      if (change_->second) return;
      step();
    }
  }
  bool is_nearer(std::string_view key, std::string_view other) const { return is_forward_ ? key < other : key > other; }

  const std::unique_ptr<Cursor> below_;
  const std::shared_ptr<const ChangedRecords> changes_;
  Place change_ = changes_->end();
  At at_ = At::end;
  bool is_forward_ = true;
};

}  // namespace

const ChangedRecords& PendingChanges::records() const {
  static const ChangedRecords none;
  return records_ ? *records_ : none;
}

void PendingChanges::put(std::string_view key, std::string_view value) {
  own().insert_or_assign(std::string(key), std::string(value));
  bytes_ += key.size() + value.size();
}

void PendingChanges::remove(std::string_view key) {
  own().insert_or_assign(std::string(key), std::nullopt);
  bytes_ += key.size();
}

const std::optional<std::string>* PendingChanges::find(std::string_view key) const {
  if (!records_) return nullptr;
  const auto found = records_->find(key);
  return found == records_->end() ? nullptr : &found->second;
}

std::unique_ptr<Cursor> PendingChanges::over(std::unique_ptr<Cursor> below) const {
  if (!records_) return below;
  return std::make_unique<MergedCursor>(std::move(below), records_);
}

ChangedRecords& PendingChanges::own() {
  if (!records_) {
    records_ = std::make_shared<ChangedRecords>();
  } else if (records_.use_count() > 1) {
    records_ = std::make_shared<ChangedRecords>(*records_);
  }
  return *records_;
}

}  // namespace espalier::registry
