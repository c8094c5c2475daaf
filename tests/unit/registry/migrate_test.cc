// A store of schema version 1, which has no table X, is one of version 2 with all of it after it was opened, also when
// that was interrupted.
#include "registry/upkeep/migrate.h"

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/upkeep/archive_source.h"
#include "tests/unit/registry/random_workload.h"
#include "tests/unit/registry/raw_store.h"

namespace espalier::registry {
namespace {

std::string with_version(std::string generation, std::uint32_t version) {
  std::string value;
  append(value, version);
  return value.append(generation.substr(4));
}

class MigrateTest : public RandomWorkload {
 protected:
  MigrateTest() {
    for (int i = 0; i < 20; ++i) do_something();
    registry_.reset();
    records_ = RawStore(folder_.path()).all();
    // As the store was before the search.
    RawStore store(folder_.path());
    for (const auto& [key, value] : records_) {
      if (key[0] == 'X') store.remove(key);
    }
    store.put(keys::generation(), with_version(records_.at(keys::generation()), 1));
  }
  std::map<std::string, std::string> now() { return RawStore(folder_.path()).all(); }
  /// What the M records of each model start with.
  std::vector<std::string> models() const {
    std::vector<std::string> models;
    for (const auto& [key, value] : records_) {
      if (key[0] != 'M') continue;
      const std::string model = key.substr(0, key.size() - 8);
      if (models.empty() || models.back() != model) models.push_back(model);
    }
    return models;
  }

  std::map<std::string, std::string> records_;  ///< as this build makes them
};

TEST_F(MigrateTest, MakesTheIndexOfAnOldStore) {
  open();
  wire::SearchRequest request;
  request.kind = "versions";
  request.where = "metrics.rmse >= 0 and run = 'R1'";
  ASSERT_OK_AND_ASSIGN(const auto found, registry_->search(local_, request));
  EXPECT_FALSE(found.rows.empty());
  registry_.reset();
  EXPECT_EQ(now(), records_);
}

TEST_F(MigrateTest, GoesOnWhereItStood) {
  // The first model counts as done: its entries are made by nobody.
  const auto all = models();
  ASSERT_EQ(all.size(), 4u);
  std::string place;
  append(place, std::uint32_t{1});
  RawStore(folder_.path()).put(keys::migration(), place + all[0]);
  open();
  registry_.reset();
  auto wanted = records_;
  std::erase_if(wanted, [&](const auto& record) {
    return record.first[0] == 'X' && record.first.substr(1).starts_with(all[0].substr(1));
  });
  EXPECT_LT(wanted.size(), records_.size());
  EXPECT_EQ(now(), wanted);
}

TEST_F(MigrateTest, IsDoneAgainAfterAWriteThatFailed) {
  int failed = 0;
  for (int i = 0;; ++i) {
    ASSERT_LT(i, 50);
    env_.tear_next_append();
    RegistryOptions options;
    options.store.env = &env_;
    const auto torn = Registry::open(files_, clock_, folder_.path(), options);
    if (torn.ok()) break;
    ++failed;
    EXPECT_EQ(load<std::uint32_t>(now().at(keys::generation()).data()), 1u);
    if (failed == 3) break;
  }
  EXPECT_EQ(failed, 3);
  open();
  registry_.reset();
  EXPECT_EQ(now(), records_);
}

TEST_F(MigrateTest, RefusesWhatItDoesNotKnow) {
  for (const std::uint32_t version : {0u, keys::kSchemaVersion + 1}) {
    RawStore(folder_.path()).put(keys::generation(), with_version(records_.at(keys::generation()), version));
    EXPECT_CODE(Registry::open(files_, clock_, folder_.path()), Code::unimplemented);
  }
}

TEST_F(MigrateTest, NamesWhatKeepsItFromGoingOnAndLeavesTheStore) {
  std::string key;
  for (const auto& [candidate, value] : records_) {
    if (candidate[0] == 'R') key = candidate;
  }
  RawStore(folder_.path()).put(key, "nonsense");
  const auto opened = Registry::open(files_, clock_, folder_.path());
  EXPECT_CODE(opened, Code::corrupt);
  EXPECT_NE(opened.status().message().find("migration from schema version 1"), std::string::npos);
  RawStore(folder_.path()).put(key, records_.at(key));
  open();
  registry_.reset();
  EXPECT_EQ(now(), records_);
}

}  // namespace
}  // namespace espalier::registry
