#include "registry/keys.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/bytes.h"
#include "tests/support/status_matchers.h"

namespace espalier::registry {
namespace {

using Path = std::vector<std::string>;

TEST(Keys, NodesComeBeforeTheirSubtreesAndNewestFirst) {
  const std::string prefix = keys::tag_prefix("acme", "total", "production");
  const std::vector<std::pair<Path, std::uint64_t>> in_order = {
      {{}, 7},
      {{}, 1},
      {{"", "x"}, 3},
      {{std::string("\0", 1)}, 2},
      {{"us"}, 300},
      {{"us"}, 299},
      {{"us", "ca"}, 9},
      {{"us", "ca", "fresno"}, 1ull << 60},
      {{"us", "ca", "fresno"}, 2},
      {{"usa"}, 1},
  };
  std::vector<std::string> made;
  for (const auto& [path, epoch] : in_order) made.push_back(keys::node_at(prefix, keys::components(path), epoch));
  auto sorted = made;
  std::ranges::sort(sorted);
  // "\0" as a value is 00 FF: it stands behind the empty value (00 01), before every letter.
  EXPECT_EQ(sorted, made);
}

TEST(Keys, ASubtreesPrefixIsThatOfItsNodesOnly) {
  const std::string prefix = keys::tag_prefix("acme", "total", "production");
  const std::string under = prefix + keys::components({"us"});
  EXPECT_TRUE(keys::node_at(prefix, keys::components({"us"}), 4).starts_with(under));
  EXPECT_TRUE(keys::node_at(prefix, keys::components({"us", "ca"}), 4).starts_with(under));
  EXPECT_FALSE(keys::node_at(prefix, keys::components({"usa"}), 4).starts_with(under));
  EXPECT_FALSE(keys::tag_prefix("acme", "total", "production2").starts_with(prefix));
  EXPECT_FALSE(keys::tag_prefix("acme", "total2", "production").starts_with(keys::model_prefix("acme", "total")));
}

TEST(Keys, IndexesOfAModelAreItsOwnAndInOrder) {
  using keys::Index;
  const std::string numbers = keys::index_prefix("acme", "total", Index::numbers);
  EXPECT_FALSE(keys::index_prefix("acme", "total2", Index::numbers).starts_with(numbers));
  EXPECT_FALSE(keys::index_prefix("acme", "total", Index::commits).starts_with(numbers));
  const std::string rmse = keys::index_number(numbers, "rmse");
  EXPECT_FALSE(keys::index_number(numbers, "rmse2").starts_with(rmse));
  Uuid a, b;
  b.bytes[0] = 1;
  const std::vector<std::string> in_order = {keys::index_number_at(rmse, 1, 9, b), keys::index_number_at(rmse, 2, 8, b),
                                             keys::index_number_at(rmse, 2, 9, a), keys::index_number_at(rmse, 2, 9, b),
                                             keys::index_number_at(rmse, 1ull << 63, 1, a)};
  EXPECT_TRUE(std::ranges::is_sorted(in_order));
  const std::string commits = keys::index_prefix("acme", "total", Index::commits);
  EXPECT_LT(keys::index_block(commits, 255, 7), keys::index_block(commits, 256, 0));
  const std::string runs = keys::index_prefix("acme", "total", Index::attributes);
  EXPECT_FALSE(keys::index_attribute(runs, "run", "R10").starts_with(keys::index_attribute(runs, "run", "R1")));
  EXPECT_LT(keys::index_attribute_at(runs, "run", "R1", 255), keys::index_attribute_at(runs, "run", "R1", 256));
}

TEST(Keys, WhatWasBuiltIsTakenApart) {
  Uuid uuid;
  uuid.bytes[3] = 9;
  const std::string components = keys::components({"us", "ca"});
  const std::string tags = keys::tag_prefix("acme", "total", "production");
  const std::string tag_key = keys::node_at(tags, components, 12);
  ASSERT_OK_AND_ASSIGN(const auto tag, keys::parse_tag(tag_key, tags.size()));
  EXPECT_EQ(tag.components, components);
  EXPECT_EQ(tag.epoch, 12u);
  const std::string versions = keys::versions_prefix("acme", "total");
  const std::string version_key = keys::version_at(versions, components, 13, uuid);
  ASSERT_OK_AND_ASSIGN(const auto version, keys::parse_version(version_key, versions.size()));
  EXPECT_EQ(version.components, components);
  EXPECT_EQ(version.epoch, 13u);
  EXPECT_EQ(version.version, uuid);
  ASSERT_OK_AND_ASSIGN(const auto age, keys::parse_idem_by_time(keys::idem_by_time(55, "local", uuid)));
  EXPECT_EQ(age.time_us, 55);
  EXPECT_EQ(age.idem_key, keys::idem("local", uuid));
}

TEST(Keys, ShortKeysAreCorrupt) {
  const std::string prefix = keys::tag_prefix("acme", "total", "production");
  const std::string good = keys::node_at(prefix, keys::components({"us"}), 12);
  for (std::size_t cut = prefix.size(); cut < prefix.size() + 10; ++cut) {
    EXPECT_CODE(keys::parse_tag(std::string_view(good).substr(0, cut), prefix.size()), Code::corrupt) << cut;
    EXPECT_CODE(keys::parse_version(std::string_view(good).substr(0, cut), prefix.size()), Code::corrupt) << cut;
  }
  EXPECT_CODE(keys::parse_idem_by_time("i123"), Code::corrupt);
  EXPECT_CODE(keys::ascending_epoch("F1234567"), Code::corrupt);
  EXPECT_CODE(keys::newest_first_epoch(""), Code::corrupt);
}

TEST(Keys, BehindAPrefixIsTheNextKeyThatLacksIt) {
  EXPECT_EQ(keys::behind("ab"), "ac");
  EXPECT_EQ(keys::behind("a\xFF\xFF"), "b");
  EXPECT_EQ(keys::behind("\xFF"), "");
}

TEST(Keys, BytesNeverChange) {
  Uuid uuid;
  for (std::size_t i = 0; i < 16; ++i) uuid.bytes[i] = static_cast<unsigned char>(i);
  EXPECT_EQ(to_hex(keys::node_at(keys::tag_prefix("a", "m", "t"), keys::components({"x"}), 1)),
            "546100016d00017400017800010000fffffffffffffffe");
  EXPECT_EQ(to_hex(keys::feed(258)), "460000000000000102");
  EXPECT_EQ(to_hex(keys::changed(1, 2)), "43000000000000000100000002");
  EXPECT_EQ(to_hex(keys::release_by_uuid("a", uuid)), "72610001000102030405060708090a0b0c0d0e0f");
}

}  // namespace
}  // namespace espalier::registry
