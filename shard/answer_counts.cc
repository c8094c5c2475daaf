#include "shard/answer_counts.h"

namespace espalier::shard {

std::uint64_t count_of(const Reasons& reasons) {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : reasons) sum += count;
  return sum;
}

std::uint64_t unexpected_of(const Reasons& reasons) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    if (is_unexpected(static_cast<wire::Reason>(i))) sum += reasons[i];
  }
  return sum;
}

Reasons ModelCounts::read() const {
  Reasons now{};
  for (std::size_t i = 0; i < now.size(); ++i) now[i] = reasons[i].value();
  return now;
}

AnswerCounts::AnswerCounts() = default;

AnswerCounts::~AnswerCounts() {
  for (const auto& place : places_) delete place.load();
}

ModelCounts& AnswerCounts::of(const Model& model, std::uint64_t hash) {
  for (std::size_t i = 0;; ++i) {
    auto& place = places_[(hash + i) % kPlaces];
    ModelCounts* counted = place.load(std::memory_order_relaxed);
    if (counted == nullptr) {
      if (taken_ == kModels) return rest_;
      ++taken_;
      auto fresh = std::make_unique<ModelCounts>();
      fresh->key = model.key;
      fresh->tenant = model.tenant;
      fresh->model = model.model;
      counted = fresh.release();
      place.store(counted, std::memory_order_release);
    }
    if (counted->key == model.key) return *counted;
  }
}

}  // namespace espalier::shard
