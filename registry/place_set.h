// A set of things that stand in a list elsewhere, by their places in it: tells whether one came before, without a copy
// and without an allocation for each. For the nodes and the UUIDs of one large release.
//
// Thread safety: one thread. Ownership: borrows nothing; who asks brings the comparison.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace espalier::registry {

class PlaceSet {
 public:
  /// For at most `count` places.
  explicit PlaceSet(std::size_t count) : places_(std::bit_ceil(2 * count + 1), kNone) {}

  /// Adds `place`, whose thing has `hash`, unless `equal(other)` says of a place that is there that it is the same
  /// thing. False: it was there.
  template <class Equal>
  bool insert(std::uint64_t hash, std::uint32_t place, const Equal& equal) {
    std::uint32_t& slot = places_[find(hash, equal)];
    if (slot != kNone) return false;
    slot = place;
    return true;
  }
  template <class Equal>
  bool contains(std::uint64_t hash, const Equal& equal) const {
    return places_[find(hash, equal)] != kNone;
  }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  /// Where it is, or would be. At most half of the slots are taken.
  template <class Equal>
  std::size_t find(std::uint64_t hash, const Equal& equal) const {
    const std::size_t mask = places_.size() - 1;
    std::size_t at = hash & mask;
    while (places_[at] != kNone && !equal(places_[at])) at = (at + 1) & mask;
    return at;
  }

  std::vector<std::uint32_t> places_;
};

}  // namespace espalier::registry
