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

std::unique_ptr<BackgroundWork> Jobs::work_of(const wire::Receipt& receipt) {
  if (receipt.kind == wire::ReceiptKind::collection) return std::make_unique<Collection>(records_, receipt, work_);
  if (receipt.kind == wire::ReceiptKind::erasure) return std::make_unique<Erasure>(records_, receipt, work_);
  return nullptr;
}

void Jobs::add(const wire::Receipt& receipt) {
  auto work = work_of(receipt);
  if (!work) return;
  if (receipt.kind == wire::ReceiptKind::collection || receipt.dry_run) {
    jobs_.push_back({std::move(work), {}, 0});
    return;
  }
  if (!jobs_.empty() && jobs_.front().work->receipt().tenant == receipt.tenant) is_first_checked_ = false;
  std::erase_if(jobs_, [&](const auto& job) { return job.work->receipt().tenant == receipt.tenant; });
  if (last_plan_ && last_plan_->receipt().tenant == receipt.tenant) last_plan_.reset();
  jobs_.push_back({std::move(work), {}, 0});
}

Status Jobs::check_first() {
  const wire::Receipt& receipt = jobs_.front().work->receipt();
  if (is_first_checked_ || receipt.dry_run) return {};
  RETURN_IF_ERROR(records_.store.begin().status());
  const auto written = records_.receipts.get(receipt.tenant, receipt.receipt);
  if (written.status().code() == Code::not_found) {
    jobs_.pop_front();
    return load();
  }
  RETURN_IF_ERROR(written.status());
  Job& first = jobs_.front();
  if (!first.waits_for.empty()) {
    // What it wrote last may stand on the disk though it was told otherwise.
    first.work.reset();
    first.work = work_of(*written);
  }
  is_first_checked_ = true;
  return {};
}

bool Jobs::step() {
  if (jobs_.empty() || clock_.monotonic_us() < jobs_.front().retry_at_us) return false;
  const Status checked = check_first();
  if (jobs_.empty()) return true;
  const auto more = checked.ok() ? jobs_.front().work->step() : Result<bool>(checked);
  if (!more.ok()) return put_back(more.status());
  jobs_.front().waits_for.clear();
  if (*more && jobs_.front().work->is_waiting()) jobs_.front().retry_at_us = clock_.monotonic_us() + kLookAgainUs;
  if (*more) return false;
  std::unique_ptr<BackgroundWork> done = std::move(jobs_.front().work);
  jobs_.pop_front();
  is_first_checked_ = false;
  if (done->receipt().dry_run) last_plan_ = std::move(done);
  return true;
}

bool Jobs::put_back(const Status& why) {
  Job& failed = jobs_.front();
  failed.retry_at_us = clock_.monotonic_us() + kRetryUs;
  const std::string tenant = failed.work->receipt().tenant;
  const bool is_news = failed.waits_for != why.text();
  if (is_news) log::warn("registry", "work beside requests can't go on", {{"tenant", tenant}, {"why", why}});
  failed.waits_for = why.text();
  // Those of its tenant stay behind it: what it has found out about the tenant must still be so when it goes on.
  std::ranges::stable_partition(jobs_, [&](const Job& job) { return job.work->receipt().tenant != tenant; });
  is_first_checked_ = false;
  return is_news;
}

std::int64_t Jobs::next_us() const {
  if (jobs_.empty()) return -1;
  return std::max<std::int64_t>(0, jobs_.front().retry_at_us - clock_.monotonic_us());
}

const wire::Receipt* Jobs::find(const std::string& tenant, const Uuid& receipt) const {
  const auto is_it = [&](const wire::Receipt& r) { return r.receipt == receipt && r.tenant == tenant; };
  for (const auto& job : jobs_) {
    if (!is_it(job.work->receipt())) continue;
    if (job.waits_for.empty()) return &job.work->receipt();
    waiting_ = job.work->receipt();
    waiting_.waits_for = job.waits_for;
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
