// Runs: started, logged to, ended, told as of every commit, found by searches, and checked.
#include <cmath>
#include <limits>
#include <map>

#include "registry/keys.h"
#include "registry/upkeep/repair.h"
#include "tests/unit/registry/raw_store.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

class RunsTest : public RegistryFixture {
 protected:
  template <class Request>
  Request of_run(std::uint32_t run) {
    Request request;
    request.tenant = "acme";
    request.run = uuid('n', run);
    if constexpr (requires { request.idem; }) request.idem = uuid('i', 5'000 + ++idems_);
    return request;
  }
  Result<wire::EpochReply> start(std::uint32_t run, const std::string& params = {}, const std::string& name = {},
                                 const std::string& model = "total") {
    auto request = of_run<wire::RunStartRequest>(run);
    request.model = model;
    request.name = name;
    request.params_json = params;
    return registry_->run_start(local_, request);
  }
  Result<wire::EpochReply> log(std::uint32_t run, const std::vector<wire::RunPoint>& points,
                               const std::string& params = {}) {
    auto request = of_run<wire::RunLogRequest>(run);
    request.metrics = points;
    request.params_json = params;
    return registry_->run_log(local_, request);
  }
  Result<wire::EpochReply> end(std::uint32_t run, wire::RunStatus status = wire::RunStatus::finished) {
    auto request = of_run<wire::RunEndRequest>(run);
    request.status = status;
    return registry_->run_end(local_, request);
  }
  Result<wire::EpochReply> attach(std::uint32_t run, const std::string& name, const std::string& content) {
    auto request = of_run<wire::RunAttachRequest>(run);
    request.name = name;
    request.content = content;
    return registry_->run_attach(local_, request);
  }
  wire::RunRecord told(std::uint32_t run) {
    wire::RunsRequest request;
    request.tenant = "acme";
    request.runs = {uuid('n', run)};
    const auto reply = registry_->runs(local_, request);
    EXPECT_OK(reply);
    return reply.ok() ? reply->runs.at(0) : wire::RunRecord{};
  }
  /// "rmse/1=5 rmse/2=4", in pages.
  std::string points(std::uint32_t run, std::uint32_t page, const std::string& name = {}) {
    auto request = of_run<wire::RunMetricsRequest>(run);
    request.name = name;
    request.limit = page;
    std::string text;
    do {
      const auto reply = registry_->run_metrics(local_, request);
      EXPECT_OK(reply);
      if (!reply.ok()) return "?";
      EXPECT_LE(reply->points.size(), page);
      for (const auto& point : reply->points) {
        text += (text.empty() ? "" : " ") + point.name + "/" + std::to_string(point.step) + "=" +
                std::to_string(static_cast<int>(point.value));
      }
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    return text;
  }
  /// Numbers of the runs found, in the order found, read in pages of `page`.
  std::string found(const std::string& where, const std::string& order = {}, std::uint64_t epoch = 0,
                    std::uint32_t page = 2) {
    wire::SearchRequest request;
    request.kind = "runs";
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
        const auto record = wire::decode<wire::RunRecord>(row.record);
        EXPECT_OK(record);
        for (std::uint32_t run = 1; run < 1'000; ++run) {
          if (record->run == uuid('n', run)) text += (text.empty() ? "" : " ") + std::to_string(run);
        }
      }
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    return text;
  }
  /// Table, key and what is wrong, a line each.
  std::string findings_text() {
    std::string text;
    for (const auto& finding : findings()) text += finding.table + " " + finding.key + ": " + finding.what + "\n";
    return text;
  }
  std::vector<wire::FindingRecord> findings() {
    std::vector<wire::FindingRecord> all;
    wire::CheckRequest request{uuid('c', ++idems_), 0};
    for (bool done = false; !done; ++request.step) {
      const auto reply = registry_->check(local_, request);
      EXPECT_OK(reply);
      if (!reply.ok()) return all;
      all.insert(all.end(), reply->findings.begin(), reply->findings.end());
      done = reply->done;
    }
    return all;
  }

  std::uint32_t idems_ = 0;
};

TEST_F(RunsTest, AreToldAsTheyWereLogged) {
  ASSERT_OK(start(1, R"({"family":"linear","l2":{"city":0.5}})", "first"));
  ASSERT_OK(log(1, {{"rmse", 1, 5, 7}, {"rmse", 2, 4, 0}, {"mae", 1, 3, 0}}));
  ASSERT_OK(log(1, {{"rmse", 10, 3, 0}, {"rmse", 9, 9, 0}}, R"({"l2":{"state":2},"seed":7})"));
  ASSERT_OK(log(1, {{"rmse", 10, 2, 0}}));
  ASSERT_OK(attach(1, "plot.svg", "<svg/>"));
  ASSERT_OK(attach(1, "notes.txt", "old"));
  ASSERT_OK(attach(1, "notes.txt", "new"));
  ASSERT_OK(end(1));
  const wire::RunRecord run = told(1);
  EXPECT_EQ(run.name, "first");
  EXPECT_EQ(run.status, wire::RunStatus::finished);
  EXPECT_GT(run.ended_us, run.created_us);
  EXPECT_EQ(run.params_json, R"({"family":"linear","l2":{"city":0.5,"state":2},"seed":7})");
  EXPECT_EQ(run.metrics.at("rmse").value, 2) << "of the greatest step, logged last";
  EXPECT_EQ(run.metrics.at("rmse").count, 5u);
  EXPECT_EQ(run.metrics.at("mae").step, 1u);
  ASSERT_EQ(run.files.size(), 2u);
  auto file = of_run<wire::RunFileRequest>(1);
  file.name = "notes.txt";
  ASSERT_OK_AND_ASSIGN(const auto content, registry_->run_file(local_, file));
  EXPECT_EQ(content.content, "new");
  const std::string all = "mae/1=3 rmse/1=5 rmse/2=4 rmse/9=9 rmse/10=3 rmse/10=2";
  for (const std::uint32_t page : {1u, 2u, 4u, 100u}) EXPECT_EQ(points(1, page), all);
  EXPECT_EQ(points(1, 2, "mae"), "mae/1=3");
  EXPECT_EQ(points(1, 2, "ma"), "");
  EXPECT_EQ(findings_text(), "");
}

TEST_F(RunsTest, APageBelongsToTheFirstPagesState) {
  ASSERT_OK(start(1));
  ASSERT_OK(log(1, {{"a", 1, 1, 0}, {"a", 3, 3, 0}}));
  auto request = of_run<wire::RunMetricsRequest>(1);
  request.limit = 1;
  ASSERT_OK_AND_ASSIGN(auto page, registry_->run_metrics(local_, request));
  ASSERT_OK(log(1, {{"a", 2, 2, 0}}));
  request.cursor = page.cursor;
  ASSERT_OK_AND_ASSIGN(page, registry_->run_metrics(local_, request));
  EXPECT_EQ(page.points.at(0).step, 3u);
  EXPECT_EQ(page.cursor, "");
  request.cursor = "x";
  EXPECT_CODE(registry_->run_metrics(local_, request), Code::invalid_argument);
}

TEST_F(RunsTest, WrongOnesChangeNothing) {
  ASSERT_OK(start(1, R"({"a":1,"b":{"c":"x"}})"));
  ASSERT_OK(start(2));
  ASSERT_OK(end(2, wire::RunStatus::failed));
  const auto before = wire::encode(told(1));
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  struct Row {
    Result<wire::EpochReply> reply;
    Code code;
    std::string says;
  };
  std::vector<wire::RunPoint> many_names;
  for (int i = 0; i <= 256; ++i) many_names.push_back({"m" + std::to_string(i), 0, 0, 0});
  for (const Row& row : std::vector<Row>{
           {log(1, {{"ok", 1, 1, 0}, {"rmse", 1, nan, 0}}), Code::invalid_argument, "metrics[1]: value: NaN"},
           {log(1, {{"rmse", 1, inf, 0}}), Code::invalid_argument, "metrics[0]: value: the number must be finite"},
           {log(1, {{"rmse", 1, -inf, 0}}), Code::invalid_argument, "must be finite"},
           {log(1, {{"", 1, 1, 0}}), Code::invalid_argument, "metrics[0]: name: empty"},
           {log(1, {{"a\nb", 1, 1, 0}}), Code::invalid_argument, "control character"},
           {log(1, {{std::string(129, 'a'), 1, 1, 0}}), Code::invalid_argument, "129 bytes, at most 128"},
           {log(1, {{"a", 1, 1, -1}}), Code::invalid_argument, "time_us"},
           {log(1, {{"a", ~std::uint64_t{0}, 1, 0}}), Code::invalid_argument, "step: too large"},
           {log(1, many_names), Code::invalid_argument, "257"},
           {log(1, std::vector<wire::RunPoint>(16'385, {"a", 1, 1, 0})), Code::invalid_argument, "16385 points"},
           {log(1, {}), Code::invalid_argument, "neither points nor parameters"},
           {log(1, {}, "[]"), Code::invalid_argument, "not a JSON object"},
           {log(1, {}, "{\"a\":1e999}"), Code::invalid_argument, "not a JSON object"},
           {log(1, {}, R"({"x":null})"), Code::invalid_argument, "x is null"},
           {log(1, {}, "{\"" + std::string(129, 'n') + "\":1}"), Code::invalid_argument, "a name of 129 bytes"},
           {log(1, {}, R"({"a":2})"), Code::failed_precondition, "a is 1 already"},
           {log(1, {}, R"({"b":{"c":"y"}})"), Code::failed_precondition, "b.c is \"x\" already"},
           {log(1, {}, R"({"b.c":"y"})"), Code::failed_precondition, "b.c is \"x\" already"},
           {log(1, {}, R"({"b":5})"), Code::failed_precondition, "b.c would no longer be"},
           {log(2, {{"a", 1, 1, 0}}), Code::failed_precondition, "has failed already"},
           {log(9, {{"a", 1, 1, 0}}), Code::not_found, "run "},
           {end(2), Code::failed_precondition, "has failed already"},
           {end(1, wire::RunStatus::running), Code::invalid_argument, "status: finished or failed"},
           {start(1), Code::already_exists, "run "},
           {start(3, "x"), Code::invalid_argument, "not a JSON object"},
           {start(3, {}, std::string(257, 'n')), Code::invalid_argument, "name: 257 bytes"},
           {start(3, {}, "a", "Total"), Code::invalid_argument, "model"},
           {attach(1, "", "x"), Code::invalid_argument, "name: empty"},
           {attach(1, "big", std::string(kMaxRunFileBytes + 1, 'x')), Code::invalid_argument, "at most 4194304"},
           {attach(2, "late", "x"), Code::failed_precondition, "has failed already"},
       }) {
    EXPECT_CODE(row.reply, row.code) << row.says;
    EXPECT_NE(row.reply.status().message().find(row.says), std::string::npos) << row.reply.status().text();
  }
  EXPECT_EQ(wire::encode(told(1)), before);
  EXPECT_EQ(points(1, 10), "");
  EXPECT_EQ(findings_text(), "");
}

TEST_F(RunsTest, AChangeSentAgainIsAppliedOnce) {
  auto request = of_run<wire::RunStartRequest>(1);
  request.model = "total";
  ASSERT_OK_AND_ASSIGN(const auto first, registry_->run_start(local_, request));
  ASSERT_OK_AND_ASSIGN(const auto again, registry_->run_start(local_, request));
  EXPECT_EQ(first.epoch, again.epoch);
  auto log = of_run<wire::RunLogRequest>(1);
  log.metrics = {{"a", 1, 1, 0}};
  ASSERT_OK(registry_->run_log(local_, log));
  ASSERT_OK(registry_->run_log(local_, log));
  EXPECT_EQ(points(1, 10), "a/1=1");
}

TEST_F(RunsTest, AnotherTenantsRunIsAMissingOne) {
  ASSERT_OK(start(1));
  ASSERT_OK(attach(1, "f", "x"));
  auto log = of_run<wire::RunLogRequest>(1);
  log.tenant = "other";
  log.metrics = {{"a", 1, 1, 0}};
  EXPECT_CODE(registry_->run_log(local_, log), Code::not_found);
  wire::RunsRequest runs;
  runs.tenant = "other";
  runs.runs = {uuid('n', 1)};
  EXPECT_CODE(registry_->runs(local_, runs), Code::not_found);
  auto file = of_run<wire::RunFileRequest>(1);
  file.tenant = "other";
  file.name = "f";
  EXPECT_CODE(registry_->run_file(local_, file), Code::not_found);
  wire::SearchRequest search;
  search.kind = "runs";
  search.tenant = "other";
  ASSERT_OK_AND_ASSIGN(const auto reply, registry_->search(local_, search));
  EXPECT_TRUE(reply.rows.empty());
}

TEST_F(RunsTest, AreFoundByWhatTheyAreAndWere) {
  ASSERT_OK(start(1, R"({"l2":{"city":0.5},"family":"linear","depth":3})", "alpha"));
  ASSERT_OK(log(1, {{"rmse", 1, 50, 0}, {"val.mae", 1, 7, 0}}));
  ASSERT_OK(start(2, R"({"depth":"deep","family":"trees"})", "beta"));
  ASSERT_OK(log(2, {{"rmse", 1, 30, 0}}));
  ASSERT_OK(start(3, R"({"depth":5})", "alpha", "other"));
  ASSERT_OK(log(3, {{"rmse", 1, 40, 0}}));
  ASSERT_OK(end(1));
  ASSERT_OK_AND_ASSIGN(const auto then, end(2, wire::RunStatus::failed));
  ASSERT_OK(start(4));
  ASSERT_OK(log(3, {{"rmse", 2, 20, 0}}, R"({"family":"linear"})"));
  ASSERT_OK(end(3));
  struct Case {
    std::string where, order, now, then;
  };
  for (const Case& c : std::vector<Case>{
           {"", "created", "1 2 3 4", "1 2 3"},
           {"", "created desc", "4 3 2 1", "3 2 1"},
           {"name = 'alpha'", "created", "1 3", "1 3"},
           {"status = 'running'", "created", "4", "3"},
           {"status != 'running'", "created", "1 2 3", "1 2"},
           {"status = 'failed'", "", "2", "2"},
           {"model = 'other'", "", "3", "3"},
           {"metrics.rmse < 45", "metrics.rmse", "3 2", "2 3"},
           {"metrics.rmse < 45", "metrics.rmse desc", "2 3", "3 2"},
           {"", "metrics.rmse", "3 2 1 4", "2 3 1"},
           {"", "metrics.rmse desc, created", "1 2 3 4", "1 3 2"},
           {"metrics.rmse = 20", "", "3", ""},
           {"metrics.rmse = 40", "", "", "3"},
           {"metrics.val.mae = 7", "", "1", "1"},
           {"metrics.rmse is missing", "", "4", ""},
           {"params.depth > 2", "created", "1 3", "1 3"},
           {"params.depth = 'deep'", "", "2", "2"},
           {"params.depth in (3, 'deep')", "created", "1 2", "1 2"},
           {"params.l2.city = 0.5", "", "1", "1"},
           {"params.family = 'linear'", "created", "1 3", "1"},
           {"params.family = 'linear' and metrics.rmse < 45", "", "3", ""},
           {"run = '" + uuid('n', 2).text() + "'", "", "2", "2"},
           {"properties.owner is missing", "created", "1 2 3 4", "1 2 3"},
       }) {
    for (const std::uint32_t page : {1u, 2u, 100u}) {
      EXPECT_EQ(found(c.where, c.order, 0, page), c.now) << c.where << " by " << c.order;
      EXPECT_EQ(found(c.where, c.order, then.epoch, page), c.then) << c.where << " by " << c.order << " then";
    }
  }
  wire::SearchRequest request;
  request.kind = "runs";
  for (const char* wrong : {"rmse < 5", "metrics.rmse = 'x'", "status = 1", "created > 5", "params.a under 'x'"}) {
    request.where = wrong;
    EXPECT_CODE(registry_->search(local_, request), Code::invalid_argument) << wrong;
  }
}

TEST_F(RunsTest, PagesAreOneStateWhileRunsGoOn) {
  for (std::uint32_t run = 1; run <= 20; ++run) {
    ASSERT_OK(start(run));
    ASSERT_OK(log(run, {{"rmse", 1, static_cast<double>(run), 0}}));
    if (run % 2 == 0) {
      ASSERT_OK(end(run));
    }
  }
  wire::SearchRequest request;
  request.kind = "runs";
  request.order = "metrics.rmse";
  request.limit = 3;
  std::vector<Uuid> seen;
  std::uint32_t next = 1;
  do {
    ASSERT_OK_AND_ASSIGN(const auto reply, registry_->search(local_, request));
    for (const auto& row : reply.rows) seen.push_back(wire::decode<wire::RunRecord>(row.record)->run);
    request.cursor = reply.cursor;
    for (int i = 0; i < 2 && next < 20; ++i, next += 2) {
      ASSERT_OK(log(next, {{"rmse", 2, 100.0 - next, 0}}));
      ASSERT_OK(end(next));
    }
    ASSERT_OK(start(100 + static_cast<std::uint32_t>(seen.size())));
  } while (!request.cursor.empty());
  ASSERT_EQ(seen.size(), 20u);
  for (std::uint32_t run = 1; run <= 20; ++run) EXPECT_EQ(seen[run - 1], uuid('n', run));
  EXPECT_EQ(findings_text(), "");
}

TEST_F(RunsTest, AnIndexedSearchLooksAtWhatItFinds) {
  for (std::uint32_t run = 1; run <= 200; ++run) {
    ASSERT_OK(start(run, R"({"depth":)" + std::to_string(run) + "}", run == 77 ? "rare" : "usual"));
    ASSERT_OK(log(run, {{"rmse", 1, static_cast<double>(run), 0}}));
    ASSERT_OK(end(run, run == 50 ? wire::RunStatus::failed : wire::RunStatus::finished));
  }
  ASSERT_OK(start(201));
  RegistryOptions options;
  options.search_work = 100;
  registry_.reset();
  ASSERT_OK_AND_ASSIGN(registry_, Registry::open(files_, clock_, folder_.path(), options));
  for (const auto& [where, run] : std::map<std::string, std::uint32_t>{{"name = 'rare'", 77},
                                                                       {"status = 'failed'", 50},
                                                                       {"status = 'running'", 201},
                                                                       {"params.depth = 9", 9},
                                                                       {"metrics.rmse > 199.5", 200}}) {
    wire::SearchRequest request;
    request.kind = "runs";
    request.where = where;
    ASSERT_OK_AND_ASSIGN(const auto reply, registry_->search(local_, request));
    ASSERT_EQ(reply.rows.size(), 1u) << where;
    EXPECT_EQ(wire::decode<wire::RunRecord>(reply.rows[0].record)->run, uuid('n', run)) << where;
  }
}

TEST_F(RunsTest, ASearchCountsTheParametersThatItReadsForItsFilterAndItsOrder) {
  std::string params = R"({"depth":1)";
  for (int i = 1000; i < 1500; ++i) params += ",\"long_parameter_" + std::to_string(i) + R"(":"as long as this")";
  params += "}";
  for (std::uint32_t run = 1; run <= 40; ++run) {
    ASSERT_OK(start(run, params));
    ASSERT_OK(end(run));
  }
  RegistryOptions options;
  options.search_work = 3'000;
  registry_.reset();
  ASSERT_OK_AND_ASSIGN(registry_, Registry::open(files_, clock_, folder_.path(), options));
  const auto pages_of = [&](const std::string& where, const std::string& order) {
    wire::SearchRequest request;
    request.kind = "runs";
    request.where = where;
    request.order = order;
    std::size_t pages = 0;
    do {
      const auto reply = registry_->search(local_, request);
      EXPECT_OK(reply);
      if (!reply.ok()) break;
      request.cursor = reply->cursor;
      ++pages;
    } while (!request.cursor.empty());
    return pages;
  };
  const std::size_t decoding = pages_of("", "description");
  EXPECT_GE(decoding, 3u) << "the records are counted";
  EXPECT_GT(pages_of("params.long_parameter_1000 != 'x'", "description"), decoding);
  EXPECT_GT(pages_of("", "params.long_parameter_1000, description"), decoding);
}

TEST_F(RunsTest, ACheckFindsWhatIsDamagedAndSaysWhere) {
  ASSERT_OK(start(1, R"({"depth":3,"family":"linear"})", "alpha"));
  ASSERT_OK(log(1, {{"rmse", 1, 50, 0}}, R"({"seed":1})"));
  ASSERT_OK(attach(1, "f", "content"));
  ASSERT_OK(end(1));
  ASSERT_OK(start(2));
  EXPECT_EQ(findings_text(), "");
  registry_.reset();
  std::map<std::string, std::string> records;
  records = RawStore(folder_.path()).all();
  std::size_t looked_at = 0;
  for (const auto& [key, value] : records) {
    if (std::string("UuPOY").find(key[0]) == std::string::npos) continue;
    // A point that is gone, or a state before the last, leaves nothing that names it.
    const bool is_named = key[0] != 'P';
    for (const bool gone : {true, false}) {
      if (gone && !is_named) continue;
      if (!gone && key[0] == 'Y' && value.empty()) continue;
      ++looked_at;
      {
        RawStore store(folder_.path());
        gone ? store.remove(key) : store.put(key, "\xC1");
      }
      open();
      const auto found = findings();
      EXPECT_FALSE(found.empty()) << key[0] << (gone ? " gone" : " damaged");
      bool is_named_there = false;
      for (const auto& finding : found) is_named_there |= finding.table == key.substr(0, 1);
      EXPECT_TRUE(is_named_there || key[0] == 'U') << key[0];
      registry_.reset();
      RawStore(folder_.path()).put(key, value);
    }
  }
  EXPECT_GT(looked_at, 20u);
  RawStore(folder_.path())
      .put(keys::index_attribute(keys::record_index("acme", "total", keys::RecordIndex::attributes), "name", "no")
               .append(keys::run_place(2, uuid('n', 1))),
           std::string(8, '\0'));
  open();
  EXPECT_EQ(findings().size(), 1u);
}

TEST_F(RunsTest, ARepairMakesTheIndexesAnew) {
  ASSERT_OK(start(1, R"({"depth":3,"family":"linear"})", "alpha"));
  ASSERT_OK(log(1, {{"rmse", 1, 50, 0}}, R"({"seed":1})"));
  ASSERT_OK(end(1));
  ASSERT_OK(start(2));
  registry_.reset();
  const auto records = RawStore(folder_.path()).all();
  {
    RawStore store(folder_.path());
    for (const auto& [key, value] : records) {
      if (key[0] == 'u' || key[0] == 'Y') store.remove(key);
    }
    store.put(keys::record_index("acme", "total", keys::RecordIndex::open).append(keys::run_place(1, uuid('n', 1))),
              "");
  }
  ASSERT_OK_AND_ASSIGN(const auto repaired, upkeep::repair(files_, clock_, folder_.path(), {}));
  EXPECT_TRUE(repaired.left.empty());
  auto now = RawStore(folder_.path()).all();
  now[keys::generation()] = records.at(keys::generation());
  EXPECT_EQ(now, records);
}

}  // namespace
}  // namespace espalier::registry
