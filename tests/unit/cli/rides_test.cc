#include "cli/rides.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace espalier::cli {
namespace {

std::string rides(std::uint64_t seed, int rows) {
  RideSource source(seed);
  std::string text;
  for (int i = 0; i < rows; ++i) source.append_row(text);
  return text;
}

TEST(RideSource, SameSeedSameBytes) {
  EXPECT_EQ(rides(1, 1000), rides(1, 1000));
  EXPECT_NE(rides(1, 1000), rides(2, 1000));
}

TEST(RideSource, EveryLineHasTheHeadersColumns) {
  const auto commas = [](std::string_view line) { return std::count(line.begin(), line.end(), ','); };
  const auto expected = commas(RideSource::header());
  RideSource source(7);
  for (int i = 0; i < 2000; ++i) {
    std::string line;
    source.append_row(line);
    ASSERT_EQ(commas(line), expected) << line;
    ASSERT_EQ(line.back(), '\n');
  }
}

TEST(RideSource, CitiesAreUneven) {
  std::map<std::string, int> cities;
  RideSource source(1);
  for (int i = 0; i < 20000; ++i) {
    std::string line;
    source.append_row(line);
    const auto country = line.find(',') + 1, city = line.find(',', country) + 1;
    ++cities[line.substr(country, line.find(',', city) - country)];
  }
  int small = 0, largest = 0;
  for (const auto& [city, count] : cities) {
    small += count < 50;
    largest = std::max(largest, count);
  }
  EXPECT_GT(cities.size(), 100u);
  EXPECT_GT(small, 30);
  EXPECT_GT(largest, 1000);
}

}  // namespace
}  // namespace espalier::cli
