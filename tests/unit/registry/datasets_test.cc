// Datasets: put, told, found, checked.
#include <limits>
#include <map>

#include "common/hash.h"
#include "registry/keys.h"
#include "registry/upkeep/repair.h"
#include "tests/unit/registry/raw_store.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

class DatasetsTest : public RegistryFixture {
 protected:
  static Hash256 fingerprint(std::uint32_t number) { return blake2b_256(std::to_string(number)); }
  static wire::DatasetRecord dataset(std::uint32_t number, const std::vector<std::string>& columns = {"a"}) {
    wire::DatasetRecord dataset;
    dataset.dataset = fingerprint(number);
    dataset.tenant = "acme";
    dataset.source = "rides-" + std::to_string(number % 2) + ".csv";
    dataset.file = fingerprint(1'000);
    dataset.rows = 10 * number;
    for (const std::string& name : columns) {
      wire::ColumnProfile column;
      column.name = name;
      column.count = dataset.rows - 1;
      column.missing = 1;
      column.min = -1;
      column.max = 5;
      column.mean = 2;
      dataset.columns.push_back(column);
    }
    return dataset;
  }
  Result<wire::EpochReply> put(const wire::DatasetRecord& dataset) {
    return registry_->dataset_put(local_, {uuid('i', 5'000 + ++idems_), dataset});
  }
  Result<wire::DatasetRecord> told(std::uint32_t number, const std::string& tenant = "acme") {
    ASSIGN_OR_RETURN(const auto reply, registry_->datasets(local_, {tenant, {fingerprint(number)}}));
    return reply.datasets.at(0);
  }
  /// Numbers of those found, in pages of `page`.
  std::string found(const std::string& where, const std::string& order = {}, std::uint64_t epoch = 0,
                    std::uint32_t page = 2) {
    wire::SearchRequest request;
    request.kind = "datasets";
    request.where = where;
    request.order = order;
    request.epoch = epoch;
    request.limit = page;
    std::string text;
    do {
      const auto reply = registry_->search(local_, request);
      EXPECT_OK(reply) << where;
      if (!reply.ok()) return "?";
      for (const auto& row : reply->rows) {
        const auto record = wire::decode<wire::DatasetRecord>(row.record);
        EXPECT_OK(record);
        EXPECT_EQ(row.model, "");
        text += (text.empty() ? "" : " ") + std::to_string(record->rows / 10);
      }
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    return text;
  }
  std::string findings() {
    std::string text;
    wire::CheckRequest request{uuid('c', ++idems_), 0};
    for (bool done = false; !done; ++request.step) {
      const auto reply = registry_->check(local_, request);
      EXPECT_OK(reply);
      if (!reply.ok()) return "?";
      for (const auto& finding : reply->findings)
        text += finding.table + " " + finding.key + ": " + finding.what + "\n";
      done = reply->done;
    }
    return text;
  }

  std::uint32_t idems_ = 0;
};

TEST_F(DatasetsTest, AreToldAndGetTheColumnsThatTheyLacked) {
  ASSERT_OK_AND_ASSIGN(const auto first, put(dataset(1, {"b", "a"})));
  ASSERT_OK_AND_ASSIGN(const auto again, put(dataset(1, {"a", "b"})));
  EXPECT_EQ(again.epoch, first.epoch) << "nothing is new";
  auto changed = dataset(1, {"c", "a"});
  changed.columns[1].mean = 4;
  ASSERT_OK_AND_ASSIGN(const auto more, put(changed));
  EXPECT_GT(more.epoch, first.epoch);
  ASSERT_OK_AND_ASSIGN(const auto now, told(1));
  ASSERT_EQ(now.columns.size(), 3u);
  EXPECT_EQ(now.columns[0].name + now.columns[1].name + now.columns[2].name, "abc");
  EXPECT_EQ(now.columns[0].mean, 2) << "what was said stays";
  EXPECT_EQ(now.epoch, first.epoch);
  EXPECT_EQ(now.principal, "local");
  EXPECT_CODE(told(2), Code::not_found);
  EXPECT_CODE(told(1, "other"), Code::not_found);
  EXPECT_EQ(findings(), "");
}

TEST_F(DatasetsTest, AnotherFilterThatChoosesTheSameRowsIsTheSameDataset) {
  auto of_age = dataset(1);
  of_age.where = "age >= 18";
  ASSERT_OK_AND_ASSIGN(const auto first, put(of_age));
  of_age.where = "age > 17";
  ASSERT_OK_AND_ASSIGN(const auto again, put(of_age));
  EXPECT_EQ(again.epoch, first.epoch);
  ASSERT_OK_AND_ASSIGN(const auto now, told(1));
  EXPECT_EQ(now.where, "age >= 18") << "as of the first time";
}

TEST_F(DatasetsTest, WrongOnesChangeNothing) {
  ASSERT_OK(put(dataset(1)));
  const std::string before = wire::encode(*told(1));
  struct Row {
    std::function<void(wire::DatasetRecord&)> spoil;
    Code code;
    std::string says;
  };
  using Dataset = wire::DatasetRecord;
  for (const Row& row : std::vector<Row>{
           {[](Dataset& d) { d.dataset = {}; }, Code::invalid_argument, "a fingerprint is needed"},
           {[](Dataset& d) { d.tenant = "ACME"; }, Code::invalid_argument, "tenant"},
           {[](Dataset& d) { d.source = ""; }, Code::invalid_argument, "source: empty"},
           {[](Dataset& d) { d.source = "\xFF"; }, Code::invalid_argument, "source: not UTF-8"},
           {[](Dataset& d) { d.rows = 11; }, Code::invalid_argument,
            "columns[0] (a): count and missing: 9 and 1 of 11"},
           {[](Dataset& d) { d.columns[0].count = ~std::uint64_t{0}; }, Code::invalid_argument, "count and missing"},
           {[](Dataset& d) { d.columns[0].mean = std::numeric_limits<double>::quiet_NaN(); }, Code::invalid_argument,
            "must be finite"},
           {[](Dataset& d) { d.columns[0].min = 9; }, Code::invalid_argument, "min: above max"},
           {[](Dataset& d) { d.columns[0].name = ""; }, Code::invalid_argument, "columns[0] (): name: empty"},
           {[](Dataset& d) {
              d.columns[0].top = {{"x", 10}};
            },
            Code::invalid_argument, "top: a value"},
           {[](Dataset& d) { d.columns[0].top.resize(65); }, Code::invalid_argument, "top: 65 values"},
           {[](Dataset& d) {
              d.properties = {{"", "x"}};
            },
            Code::invalid_argument, "a key is empty"},
           {[](Dataset& d) { d.columns.resize(4'097, d.columns[0]); }, Code::invalid_argument, "columns: 4097 of them"},
           {[](Dataset& d) {
              d.rows = 20;
              d.columns[0].count = 19;
            },
            Code::failed_precondition, "has 10 rows of rides-1.csv"},
           {[](Dataset& d) { d.file = fingerprint(7); }, Code::failed_precondition, "need another fingerprint"},
       }) {
    Dataset spoilt = dataset(1, {"a"});
    row.spoil(spoilt);
    const auto reply = put(spoilt);
    EXPECT_CODE(reply, row.code) << row.says;
    EXPECT_NE(reply.status().message().find(row.says), std::string::npos) << reply.status().text();
  }
  EXPECT_EQ(wire::encode(*told(1)), before);
  EXPECT_EQ(findings(), "");
}

TEST_F(DatasetsTest, AreFoundByWhatTheyAreAndWere) {
  for (std::uint32_t number = 1; number <= 5; ++number) {
    auto put_one = dataset(number);
    if (number == 3) put_one.properties["owner"] = "eta";
    if (number == 4) put_one.first = "2026-01-01";
    ASSERT_OK(put(put_one));
  }
  ASSERT_OK_AND_ASSIGN(const auto then, put(dataset(1, {"z"})));
  ASSERT_OK(put(dataset(6)));
  ASSERT_OK(put(dataset(2, {"z"})));
  struct Case {
    std::string where, order, now, then;
  };
  for (const Case& c : std::vector<Case>{
           {"", "created", "1 2 3 4 5 6", "1 2 3 4 5"},
           {"", "created desc", "6 5 4 3 2 1", "5 4 3 2 1"},
           {"", "rows", "1 2 3 4 5 6", "1 2 3 4 5"},
           {"dataset = '" + fingerprint(4).hex() + "'", "", "4", "4"},
           {"source = 'rides-1.csv'", "rows", "1 3 5", "1 3 5"},
           {"properties.owner = 'eta'", "", "3", "3"},
           {"columns = 2", "rows", "1 2", "1"},
           {"rows > 35 and source = 'rides-0.csv'", "rows", "4 6", "4"},
           {"first < '2026-02'", "", "4", "4"},
           {"epoch > 3", "epoch", "4 5 6", "4 5"},
           {"file = '" + fingerprint(1'000).hex() + "' and rows < 25", "rows desc", "2 1", "2 1"},
       }) {
    for (const std::uint32_t page : {1u, 2u, 100u}) {
      EXPECT_EQ(found(c.where, c.order, 0, page), c.now) << c.where << " by " << c.order;
      EXPECT_EQ(found(c.where, c.order, then.epoch, page), c.then) << c.where << " by " << c.order << " then";
    }
  }
  wire::SearchRequest request;
  request.kind = "datasets";
  request.tenant = "acme";
  request.model = "total";
  EXPECT_CODE(registry_->search(local_, request), Code::invalid_argument);
  request.model = "";
  request.tenant = "other";
  ASSERT_OK_AND_ASSIGN(const auto none, registry_->search(local_, request));
  EXPECT_TRUE(none.rows.empty());
  // Each once, in whatever order they lie.
  EXPECT_EQ(found("", "", 0, 1).size(), std::string("1 2 3 4 5 6").size());
}

TEST_F(DatasetsTest, ASearchCountsWhatItDecodes) {
  std::vector<std::string> columns;
  for (int i = 1000; i < 1500; ++i) columns.push_back("column" + std::to_string(i));
  for (std::uint32_t number = 1; number <= 8; ++number) ASSERT_OK(put(dataset(number, columns)));
  RegistryOptions options;
  options.search_work = 1'000;
  registry_.reset();
  ASSERT_OK_AND_ASSIGN(registry_, Registry::open(files_, clock_, folder_.path(), options));
  for (const char* where : {"rows < 0", "source = 'rides-1.csv' and rows < 0"}) {
    wire::SearchRequest request;
    request.kind = "datasets";
    request.where = where;
    std::size_t pages = 0;
    do {
      ASSERT_OK_AND_ASSIGN(const auto reply, registry_->search(local_, request));
      EXPECT_TRUE(reply.rows.empty());
      request.cursor = reply.cursor;
      ++pages;
    } while (!request.cursor.empty());
    EXPECT_GE(pages, 3u) << where << ": each page has decoded a few records of many columns";
  }
}

TEST_F(DatasetsTest, ACheckFindsWhatIsDamagedAndARepairMendsTheIndex) {
  ASSERT_OK(put(dataset(1)));
  ASSERT_OK(put(dataset(2)));
  ASSERT_OK(put(dataset(1, {"z"})));
  EXPECT_EQ(findings(), "");
  registry_.reset();
  const auto records = RawStore(folder_.path()).all();
  for (const auto& [key, value] : records) {
    if (key[0] != 'N' && key[0] != 'Y') continue;
    {
      RawStore store(folder_.path());
      key[0] == 'N' ? store.put(key, "\xC1") : store.remove(key);
    }
    open();
    const std::string found = findings();
    EXPECT_TRUE(found.starts_with(key.substr(0, 1) + " acme ")) << found;
    registry_.reset();
    if (key[0] == 'N') {
      RawStore(folder_.path()).put(key, value);
      continue;
    }
    ASSERT_OK_AND_ASSIGN(const auto repaired, upkeep::repair(files_, clock_, folder_.path(), {}));
    EXPECT_TRUE(repaired.left.empty());
    EXPECT_EQ(RawStore(folder_.path()).all().at(key), value);
  }
}

}  // namespace
}  // namespace espalier::registry
