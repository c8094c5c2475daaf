#include "registry/search/index.h"

#include <map>
#include <set>

#include "common/bytes.h"
#include "registry/keys.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

TEST(SearchIndex, IsAFunctionOfTheRecords) {
  std::vector<wire::VersionRecord> versions(600);
  std::vector<std::string> nodes;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    versions[i].version = uuid('v', static_cast<std::uint32_t>(i));
    versions[i].epoch = 7;
    versions[i].principal = "eta";
    versions[i].metrics_json = R"({"rmse":)" + std::to_string(600 - i) + R"(,"text":"x","deep":{"rmse":1}})";
    nodes.push_back(keys::components({std::to_string(i)}));
  }
  search::CommitIndex index("acme", "total", 7);
  for (std::size_t i = 0; i < versions.size(); ++i) index.add(nodes[i], versions[i]);
  std::map<std::string, std::string> entries;
  std::string last;
  index.each_entry(
      [&](std::string_view key, std::string_view value) { EXPECT_TRUE(entries.emplace(key, value).second); });
  // Three blocks, one principal, one spec, and a number of each version.
  EXPECT_EQ(entries.size(), 3u + 2u + 600u);
  std::set<std::string> own;
  for (const auto& version : versions) {
    search::each_key_of_version("acme", "total", version, [&](std::string_view key) { own.emplace(key); });
  }
  EXPECT_EQ(own.size(), 600u);
  for (const std::string& key : own) EXPECT_TRUE(entries.contains(key));
}

TEST(SearchIndex, RefusesABlockThatIsCutShort) {
  std::string block;
  append(block, std::uint32_t{2});
  block += "ab" + std::string(16, 'v');
  EXPECT_OK(search::versions_of_block(block));
  for (std::size_t size = 1; size < block.size(); ++size) {
    EXPECT_CODE(search::versions_of_block(block.substr(0, size)), Code::corrupt);
  }
  block[3] = '\x7f';
  EXPECT_CODE(search::versions_of_block(block), Code::corrupt);
}

}  // namespace
}  // namespace espalier::registry
