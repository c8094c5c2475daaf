// A table of versions becomes a history, the same one each time; what is wrong in it is named with line and column.
#include "cli/history_csv.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "registry/upkeep/key_parts.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "wire/messages.h"

namespace espalier::cli {
namespace {

constexpr std::int64_t kNow = 1'790'000'000'000'000;

constexpr const char* kSpec = R"SPEC([model]
name = "total"
task = "regression"
target = "price"
levels = ["country", "town"]

[features]
age = "standardise(age)"
)SPEC";

class HistoryCsvTest : public ::testing::Test {
 protected:
  HistoryCsvTest() { std::ofstream(folder_ / "spec.toml") << kSpec; }
  Result<Incoming> read(const std::string& table) {
    options_.file = folder_ / "history.csv";
    options_.tenant = "acme";
    options_.model = "total";
    options_.spec = folder_ / "spec.toml";
    std::ofstream(options_.file) << table;
    return read_history_csv(options_, kNow);
  }
  /// What is said of the table, behind its name.
  std::string refused(const std::string& table) {
    const auto read_table = read(table);
    if (read_table.ok()) return "taken";
    const std::string& said = read_table.status().message();
    return said.starts_with(options_.file) ? said.substr(options_.file.size()) : said;
  }
  template <class Record>
  static std::vector<Record> records(const Incoming& incoming, char table) {
    std::vector<Record> found;
    for (const auto& record : incoming.histories.front().records) {
      if (record.key.front() == table) found.push_back(*wire::decode<Record>(record.value));
    }
    return found;
  }

  testing::TempDir folder_;
  HistoryCsvOptions options_;
};

TEST_F(HistoryCsvTest, EachRowIsAVersionAndEachMomentACommit) {
  ASSERT_OK_AND_ASSIGN(
      const Incoming incoming,
      read("country,town,created,metrics.rmse,params.l2,params.solver,properties.owner,rows,run,description\n"
           "br,recife,2026-02-01 10:00,81.5,0.1,lbfgs,eta,120,R2,\"second, better\"\n"
           ",,2026-01-01,90,1,,eta,5000,R1,\n"
           "br,,2026-01-01,88,1,,,800,R1,\n"));
  const auto& history = incoming.histories.front();
  EXPECT_EQ(history.times, (std::vector<std::int64_t>{1'767'225'600'000'000, 1'769'940'000'000'000}));
  EXPECT_EQ(history.versions.size(), 3u);
  EXPECT_EQ(history.releases.size(), 2u);
  EXPECT_EQ(history.without_artefact, 3u);
  EXPECT_EQ(history.entries, 0u);
  const auto versions = records<wire::VersionRecord>(incoming, 'V');
  EXPECT_EQ(versions[0].partition, std::vector<std::string>());
  EXPECT_EQ(versions[1].parent, versions[0].version);
  EXPECT_EQ(versions[2].partition, (std::vector<std::string>{"br", "recife"}));
  EXPECT_EQ(versions[2].metrics_json, R"({"rmse":81.5})");
  EXPECT_EQ(versions[2].lineage_json, R"({"params":{"l2":0.1,"solver":"lbfgs"},"run":"R2"})");
  EXPECT_EQ(versions[2].properties, (std::map<std::string, std::string>{{"owner", "eta"}}));
  EXPECT_EQ(versions[2].description, "second, better");
  EXPECT_EQ(versions[2].rows, 120u);
  EXPECT_EQ(versions[2].collected_us, versions[2].created_us);
  const auto models = records<wire::ModelRecord>(incoming, 'M');
  EXPECT_EQ(models.front().tags, std::vector<std::string>{"imported"});
  EXPECT_EQ(models.front().levels, (std::vector<std::string>{"country", "town"}));
}

TEST_F(HistoryCsvTest, TheSameTableIsTheSameHistoryAndAnotherOneIsNot) {
  const std::string table = "partition,created,metrics.rmse\nbr/recife,2026-02-01,81.5\n,2026-01-01,90\n";
  ASSERT_OK_AND_ASSIGN(const Incoming first, read(table));
  ASSERT_OK_AND_ASSIGN(const Incoming again, read(table));
  EXPECT_EQ(first.histories[0].hash(), again.histories[0].hash());
  ASSERT_OK_AND_ASSIGN(const Incoming other, read(table + "br,2026-03-01,70\n"));
  EXPECT_NE(first.histories[0].hash(), other.histories[0].hash());
  const std::set<Uuid> uuids(other.histories[0].versions.begin(), other.histories[0].versions.end());
  EXPECT_EQ(uuids.size(), 3u);
}

TEST_F(HistoryCsvTest, WhatIsWrongIsNamedWithLineAndColumn) {
  const std::string head = "partition,created,metrics.rmse,version,file,rows,tag\n";
  const std::string good = "br,2026-02-01,1,,,,\n";
  const std::vector<std::pair<std::string, std::string>> tables = {
      {"", ": no header: the file is empty"},
      {"partition,metrics.rmse\nbr,1\n", ":1: a column created is needed"},
      {"created\n", ":1: no rows"},
      {"created,colour\n2026-02-01,red\n",
       ":1: column colour: not one of a history's: country, town, partition, created"},
      {"created,metrics.\n2026-02-01,1\n", ":1: column metrics.: not one of a history's"},
      {"created,partition,country\n2026-02-01,br,br\n", ":1: column partition: not together with columns of levels"},
      {head + good + "br,2026-02-01,2,,,,\n", ":3: column created: a version of the same node and time is on line 2"},
      {head + good + "us,,2,,,,\n", ":3: column created: empty"},
      {head + good + "us,yesterday,2,,,,\n", ":3: column created: 'yesterday' is no time in UTC"},
      {head + good + "us,2226-01-01,2,,,,\n", ":3: column created: '2226-01-01' is yet to come"},
      {head + good + "us,2026-02-02,high,,,,\n", ":3: column metrics.rmse: 'high' is not a finite number"},
      {head + good + "us,2026-02-02,2,17,,,\n", ":3: column version: "},
      {head + good + "us,2026-02-02,2,,none.art,,\n", ":3: column file: "},
      {head + good + "us,2026-02-02,2,,history.csv,,\n", ":3: column file: "},
      {head + good + "us,2026-02-02,2,,,-1,\n", ":3: column rows: '-1' is no count"},
      {head + good + "us,2026-02-02,2,,,,Tag\n", ":3: column tag: "},
      {head + good + "us/a/b,2026-02-02,2,,,,\n", ":3: column partition: 3 values, the spec has 2 levels"},
      {head + good + "us,2026-02-02,2\n", ":3: 3 fields, the header has 7"},
      {head + "br,2026-02-01,1,019a9d3c-4be0-7000-8000-000000000001,,,\nus,2026-02-01,1,019a9d3c-4be0-7000-8000-"
              "000000000001,,,\n",
       ":3: column version: is on line 2 already"},
  };
  for (const auto& [table, said] : tables) {
    const std::string text = refused(table);
    EXPECT_TRUE(text.starts_with(said)) << table << "\n" << text;
  }
  options_.tag = "imported";
  EXPECT_EQ(refused(head + good), "taken");
}

TEST_F(HistoryCsvTest, TheSpecIsOfTheModel) {
  std::ofstream(folder_ / "spec.toml") << std::string(kSpec).replace(std::string(kSpec).find("total"), 5, "other");
  EXPECT_NE(refused("created\n2026-02-01\n").find("is the spec of model other, not of total"), std::string::npos);
}

}  // namespace
}  // namespace espalier::cli
