#include "registry/upkeep/check.h"

#include <algorithm>

#include "common/scheduling.h"
#include "model/ids.h"
#include "registry/keys.h"
#include "registry/upkeep/check_state.h"

namespace espalier::registry::upkeep {
namespace {

const std::vector<Pass>& all_passes() {
  static const std::vector<Pass> passes = [] {
    std::vector<Pass> list;
    add_epoch_passes(list);
    add_moving_passes(list);
    add_record_passes(list);
    add_tag_passes(list);
    add_index_passes(list);
    add_space_passes(list);
    add_key_passes(list);
    add_audit_passes(list);
    add_run_passes(list);
    return list;
  }();
  return passes;
}

}  // namespace

std::optional<std::string> CheckState::get(std::string_view key) {
  lookup->seek(key);
  if (lookup->valid() && lookup->key() == key) return std::string(lookup->value());
  note_status(*lookup);
  return std::nullopt;
}

// LevelDB passes over a block that it can't read, and says so ever after.
void CheckState::note_status(const Cursor& cursor) {
  const Status status = cursor.status();
  if (status.ok()) return;
  if (status.code() == Code::unavailable) {
    broken = status;
  } else {
    findings.add_other("store", "LevelDB", status.message());
  }
}

bool CheckState::is_being_erased(std::string_view key) const {
  if (erasing.empty() || keys::kTablesOfTenants.find(key.front()) == std::string_view::npos) return false;
  // The mark and the receipts are what is left in the end.
  if (key.front() == 'Q' || key.front() == 'q' || key.front() == 'Z') return false;
  const auto is_its = [&](const std::string& tenant) {
    return key.starts_with(keys::of_tenant(static_cast<keys::Table>(key.front()), tenant));
  };
  return std::ranges::any_of(erasing, is_its);
}

void CheckState::require(std::string_view key, const std::string& what) {
  if (!findings.has(key) && !has(key)) findings.add(key, "is missing: " + what);
}

const EpochSeen* CheckState::require_epoch(std::uint64_t epoch, std::string_view by) {
  const auto at = epochs.find(epoch);
  if (at != epochs.end() && at->second.is_there) return &at->second;
  findings.add(keys::epoch(epoch), "is missing: " + named_by(by));
  return nullptr;
}

std::string named_by(std::string_view key) {
  return std::string(key.substr(0, 1)).append(" ").append(readable(key)).append(" names it");
}

Check::Check(std::unique_ptr<CheckState> state) : state_(std::move(state)) {}
Check::~Check() = default;

Result<std::unique_ptr<Check>> Check::start(Records& records, bool with_mends) {
  auto state = std::make_unique<CheckState>(records, with_mends);
  // Nothing is committed between the two: they are one snapshot.
  ASSIGN_OR_RETURN(state->scan, records.store.scan_verified());
  ASSIGN_OR_RETURN(state->lookup, records.store.scan_verified());
  note_erasing(*state);
  return std::unique_ptr<Check>(new Check(std::move(state)));
}

std::size_t Check::passes() { return all_passes().size(); }
const CheckCounts& Check::counts() const { return state_->counts; }
Findings& Check::findings() { return state_->findings; }

void Check::advance() {
  const Pass& pass = all_passes()[pass_];
  if (is_ending_) {
    if (pass.finish != nullptr && !pass.finish(*state_)) return;
    begun_ = is_ending_ = false;
    ++pass_;
    return;
  }
  Cursor& at = *state_->scan;
  if (!begun_) {
    begun_ = true;
    at.seek(pass.prefix);
  } else {
    at.next();
  }
  if (at.valid() && at.key().starts_with(pass.prefix)) {
    ++state_->counts.records;
    if (state_->is_being_erased(at.key())) return;
    if (state_->is_hidden(at.key(), at.value())) {
      ++state_->counts.passed_over;
      return;
    }
    return pass.record(*state_, at.key(), at.value());
  }
  state_->note_status(at);
  is_ending_ = true;
}

Status Check::step(const Clock& clock, std::int64_t slice_us) {
  const std::int64_t end = clock.monotonic_us() + slice_us;
  // Looked at after each: a chunk of a large change takes milliseconds.
  while (!is_done()) {
    advance();
    give_way();
    RETURN_IF_ERROR(state_->broken);
    if (clock.monotonic_us() >= end) break;
  }
  return {};
}

Status Check::run_to_the_end(const Clock& clock) {
  while (!is_done()) RETURN_IF_ERROR(step(clock, 1'000'000));
  return {};
}

}  // namespace espalier::registry::upkeep
