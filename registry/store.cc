#include "registry/store.h"

#include <algorithm>

namespace espalier::registry {

void Batch::add(Kind kind, std::string_view key, std::string_view value) {
  constexpr std::size_t kFirstChunkBytes = 4096, kChunkBytes = 1u << 20;
  const std::size_t bytes = key.size() + value.size();
  if (chunks_.empty() || chunks_.back().capacity() - chunks_.back().size() < bytes) {
    // A small change has a small chunk.
    std::string& fresh = chunks_.emplace_back();
    fresh.reserve(std::max(chunks_.size() == 1 ? kFirstChunkBytes : kChunkBytes, bytes));
  }
  std::string& chunk = chunks_.back();
  places_.push_back({static_cast<std::uint32_t>(chunks_.size() - 1), static_cast<std::uint32_t>(chunk.size()),
                     static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(value.size()), kind});
  chunk.append(key).append(value);
  bytes_ += bytes;
}

Batch::Operation Batch::operator[](std::size_t i) const {
  const Place& place = places_[i];
  const std::string_view bytes = std::string_view(chunks_[place.chunk]).substr(place.at);
  return {place.kind, bytes.substr(0, place.key_bytes), bytes.substr(place.key_bytes, place.value_bytes)};
}

}  // namespace espalier::registry
