#include "registry/place_set.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace espalier::registry {
namespace {

TEST(PlaceSet, TellsWhatCameBeforeEvenWhereAllHashesAreOne) {
  const std::vector<std::string> things = {"a", "b", "a", "", "c", "b", ""};
  for (const bool same_hash : {false, true}) {
    PlaceSet set(things.size());
    const auto hash = [&](const std::string& thing) { return same_hash ? 5 : std::hash<std::string>()(thing); };
    const auto equal_to = [&](const std::string& thing) {
      return [&](std::uint32_t place) { return things[place] == thing; };
    };
    std::vector<bool> is_new;
    for (std::uint32_t i = 0; i < things.size(); ++i) {
      is_new.push_back(set.insert(hash(things[i]), i, equal_to(things[i])));
    }
    EXPECT_EQ(is_new, (std::vector<bool>{true, true, false, true, true, false, false}));
    for (const std::string& thing : things) EXPECT_TRUE(set.contains(hash(thing), equal_to(thing))) << thing;
    EXPECT_FALSE(set.contains(hash("d"), equal_to("d")));
  }
}

TEST(PlaceSet, OfNothingHasNothing) {
  const PlaceSet set(0);
  EXPECT_FALSE(set.contains(0, [](std::uint32_t) { return true; }));
}

TEST(PlaceSet, TakesAsManyAsItWasMadeFor) {
  constexpr std::uint32_t kCount = 1000;
  PlaceSet set(kCount);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    EXPECT_TRUE(set.insert(i * 64, i, [&](std::uint32_t place) { return place == i; }));
  }
  for (std::uint32_t i = 0; i < kCount; ++i) {
    EXPECT_TRUE(set.contains(i * 64, [&](std::uint32_t place) { return place == i; }));
  }
}

}  // namespace
}  // namespace espalier::registry
