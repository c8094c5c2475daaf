#include "shard/busiest.h"

#include <algorithm>
#include <utility>

#include "cluster/placement.h"
#include "model/ids.h"

namespace espalier::shard {

void Busiest::look_at(const wire::PredictHeader& header, const ModelTable& table) {
  const std::uint64_t parts = std::exchange(parts_, 0);
  const std::lock_guard lock(mutex_);
  asked_ += static_cast<double>(parts);
  if (header.parts.empty()) return;
  const wire::PredictHeader::Part& part = header.parts[requests_ / kOneOf % header.parts.size()];
  key_.clear();
  model::append_component(key_, header.tenant);
  model::append_component(key_, header.model);
  const Model* model = table.models.find(key_);
  if (model == nullptr) return;
  const std::size_t until = cluster::replicated_until(static_cast<std::uint32_t>(model->levels.size()));
  auto values = header.partition(part);
  while (!values.empty() && values.back().empty()) values = values.first(values.size() - 1);
  if (values.size() <= until) return;  // all of the tenant's shards hold it
  values = values.first(until + 1);
  while (!values.empty() && values.back().empty()) values = values.first(values.size() - 1);
  for (const std::string_view value : values) model::append_component(key_, value);

  auto it = keys_.find(key_);
  if (it == keys_.end()) {
    double least = 0;
    if (keys_.size() == kKeys) {
      const auto victim = std::ranges::min_element(keys_, {}, [](const auto& key) { return key.second.count; });
      least = victim->second.count;
      keys_.erase(victim);
    }
    wire::BusyNode node{std::string(header.tenant), std::string(header.model), {values.begin(), values.end()}, 0};
    it = keys_.emplace(key_, Key{std::move(node), least}).first;
  }
  it->second.count += static_cast<double>(parts);
}

void Busiest::add_to(wire::RenewRequest& request, std::int64_t now_us) {
  const std::lock_guard lock(mutex_);
  if (since_us_ == 0) since_us_ = now_us;
  seconds_ += static_cast<double>(now_us - std::exchange(since_us_, now_us)) / 1e6;
  if (seconds_ < 0.05) return;
  request.requests_per_second += asked_ / seconds_;
  for (const auto& [bytes, key] : keys_) {
    const auto same = [&](const wire::BusyNode& node) {
      return node.tenant == key.node.tenant && node.model == key.node.model && node.partition == key.node.partition;
    };
    const auto found = std::ranges::find_if(request.busiest, same);
    auto& node = found == request.busiest.end() ? request.busiest.emplace_back(key.node) : *found;
    node.requests_per_second += key.count / seconds_;
  }
  asked_ /= 2;
  seconds_ /= 2;
  for (auto& [bytes, key] : keys_) key.count /= 2;
  std::erase_if(keys_, [](const auto& key) { return key.second.count < 1; });
}

void keep_busiest(wire::RenewRequest& request, std::size_t most) {
  std::ranges::sort(request.busiest, std::greater(), &wire::BusyNode::requests_per_second);
  if (request.busiest.size() > most) request.busiest.resize(most);
}

}  // namespace espalier::shard
