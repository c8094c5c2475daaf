#include "registry/space/jobs.h"

#include <algorithm>

#include "common/bytes.h"
#include "common/log.h"
#include "registry/space/erasure.h"

namespace espalier::registry {

Status Jobs::load() {
  ASSIGN_OR_RETURN(const auto receipts, records_.receipts.unfinished());
  for (const wire::Receipt& receipt : receipts) {
    if (find(receipt.tenant, receipt.receipt) == nullptr) add(receipt);
  }
  return {};
}

Status Jobs::check_room() const {
  if (jobs_.size() < kMostWaiting) return {};
  return Status(Code::overloaded, std::to_string(kMostWaiting) + " collections and erasures are waiting already");
}

void Jobs::add(const wire::Receipt& receipt) {
  if (receipt.kind == wire::ReceiptKind::collection) {
    jobs_.push_back(std::make_unique<Collection>(records_, receipt, work_));
    return;
  }
  if (receipt.kind != wire::ReceiptKind::erasure) return;
  if (receipt.dry_run) {
    jobs_.push_back(std::make_unique<Erasure>(records_, receipt, work_));
    return;
  }
  if (!jobs_.empty() && jobs_.front()->receipt().tenant == receipt.tenant) is_first_checked_ = false;
  std::erase_if(jobs_, [&](const auto& job) { return job->receipt().tenant == receipt.tenant; });
  if (last_plan_ && last_plan_->receipt().tenant == receipt.tenant) last_plan_.reset();
  jobs_.push_back(std::make_unique<Erasure>(records_, receipt, work_));
}

Status Jobs::check_first() {
  const wire::Receipt& receipt = jobs_.front()->receipt();
  if (is_first_checked_ || receipt.dry_run) return {};
  RETURN_IF_ERROR(records_.store.begin().status());
  const auto written = records_.receipts.get(receipt.tenant, receipt.receipt);
  if (written.status().code() == Code::not_found) {
    jobs_.pop_front();
    return load();
  }
  RETURN_IF_ERROR(written.status());
  is_first_checked_ = true;
  return {};
}

bool Jobs::step() {
  if (jobs_.empty() || clock_.monotonic_us() < retry_at_us_) return false;
  const Status checked = check_first();
  if (jobs_.empty()) return true;
  const auto more = checked.ok() ? jobs_.front()->step() : Result<bool>(checked);
  if (!more.ok()) {
    retry_at_us_ = clock_.monotonic_us() + kRetryUs;
    const bool is_news = waits_for_ != more.status().text();
    if (is_news) log::warn("registry", "work beside requests can't go on", {{"why", more.status()}});
    waits_for_ = more.status().text();
    return is_news;
  }
  waits_for_.clear();
  if (*more && jobs_.front()->is_waiting()) retry_at_us_ = clock_.monotonic_us() + kLookAgainUs;
  if (*more) return false;
  std::unique_ptr<BackgroundWork> done = std::move(jobs_.front());
  jobs_.pop_front();
  is_first_checked_ = false;
  if (done->receipt().dry_run) last_plan_ = std::move(done);
  return true;
}

std::int64_t Jobs::next_us() const {
  if (jobs_.empty()) return -1;
  return std::max<std::int64_t>(0, retry_at_us_ - clock_.monotonic_us());
}

const wire::Receipt* Jobs::find(const std::string& tenant, const Uuid& receipt) const {
  const auto is_it = [&](const wire::Receipt& r) { return r.receipt == receipt && r.tenant == tenant; };
  for (const auto& job : jobs_) {
    if (!is_it(job->receipt())) continue;
    if (job != jobs_.front() || waits_for_.empty()) return &job->receipt();
    waiting_ = job->receipt();
    waiting_.waits_for = waits_for_;
    return &waiting_;
  }
  return last_plan_ && is_it(last_plan_->receipt()) ? &last_plan_->receipt() : nullptr;
}

Result<wire::ReceiptItemsReply> Jobs::plan(std::string_view cursor) const {
  wire::ReceiptItemsReply reply;
  if (!cursor.empty() && cursor.size() != 4) return invalid_argument("cursor: not one that a reply gave");
  const std::size_t chunk = cursor.empty() ? 0 : load_u32_be(cursor.data());
  const auto& items = last_plan_->plan();
  const std::size_t begin = std::min(chunk * kItemsInChunk, items.size());
  const std::size_t end = std::min(begin + kItemsInChunk, items.size());
  reply.items.assign(items.begin() + static_cast<std::ptrdiff_t>(begin),
                     items.begin() + static_cast<std::ptrdiff_t>(end));
  if (end < items.size()) append_u32_be(reply.cursor, static_cast<std::uint32_t>(chunk + 1));
  return reply;
}

}  // namespace espalier::registry
