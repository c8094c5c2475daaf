// Runs and datasets move with the history that names them: they answer as they did, nobody sees a run before the whole
// history is there, and what can't be taken changes nothing.
#include "tests/unit/registry/moving_runs_fixture.h"

namespace espalier::registry {
namespace {

using wire::ImportStep;

TEST_F(MovingRunsTest, ImportedRunsAnswerAsTheirSourceDidAtEveryTime) {
  fill();
  const std::int64_t end = clock_.wall_us();
  const auto archive = exported(*registry_, "acme");
  ASSERT_NE(archive, nullptr);
  ASSERT_OK(import_all(*archive));
  EXPECT_EQ(told_runs(*target_), told_runs(*registry_));
  expect_equal();
  expect_equal("other");
  for (std::int64_t time = end - 3'700'000'000; time < end - 3'500'000'000; time += 500'000) {
    EXPECT_EQ(found_runs(*target_, "", "created, run", "total", time),
              found_runs(*registry_, "", "created, run", "total", time));
    EXPECT_EQ(found_runs(*target_, "metrics.rmse < 6", "metrics.rmse, run", "total", time),
              found_runs(*registry_, "metrics.rmse < 6", "metrics.rmse, run", "total", time));
  }
  EXPECT_EQ(found_runs(*target_, "", "created, run", ""), found_runs(*registry_, "", "created, run", ""));
  for (std::uint32_t number : {1u, 2u}) EXPECT_EQ(told_dataset(*target_, number), told_dataset(*registry_, number));
  EXPECT_EQ(target_findings(), "");
  open_target();
  EXPECT_EQ(target_findings(), "");
}

TEST_F(MovingRunsTest, WhatIsExportedOfAnImportedModelIsTheSameHistory) {
  fill();
  const auto archive = exported(*registry_, "acme", "total");
  ASSERT_OK(import_all(*archive));
  const auto again = exported(*target_, "acme", "total");
  ASSERT_OK_AND_ASSIGN(const auto before, histories_of(*archive));
  ASSERT_OK_AND_ASSIGN(const auto after, histories_of(*again));
  ASSERT_EQ(before.size(), 1u);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].hash(), before[0].hash());
  EXPECT_EQ(before[0].runs.size(), 5u);
  EXPECT_EQ(before[0].datasets.size(), 2u);
  EXPECT_EQ(again->counts(), archive->counts());
  // The name covers a run's points, its states, and the datasets that are named.
  for (const char table : {'U', 'P', 'N'}) {
    ASSERT_OK_AND_ASSIGN(auto changed, histories_of(*archive));
    History& history = changed[0];
    if (table == 'N') {
      history.datasets[0].rows += 1;
    } else {
      const auto at = std::ranges::find(history.records, table, [](const MovedRecord& r) { return r.key.front(); });
      history.records.erase(at);
    }
    EXPECT_NE(history.hash(), before[0].hash()) << table;
  }
  // One model's history is the same where it comes with its tenant's others.
  const auto of_tenant = exported(*registry_, "acme");
  ASSERT_OK_AND_ASSIGN(const auto all, histories_of(*of_tenant));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].hash(), before[0].hash());
}

TEST_F(MovingRunsTest, NobodySeesARunBeforeTheLastStepWhereverTheImportIsCutShort) {
  fill();
  const auto archive = exported(*registry_, "acme", "total");
  upload_all(*archive);
  ASSERT_OK_AND_ASSIGN(auto histories, histories_of(*archive));
  History& history = histories.front();
  history.most_in_step = 50;
  std::vector<std::uint64_t> epochs;
  for (std::uint32_t round = 1;; ++round) {
    std::size_t left = 2 + below(3);
    bool is_finished = false;
    const AskImport asked = [&](const wire::ImportRequest& request,
                                std::vector<std::string> bodies) -> Result<wire::ImportReply> {
      if (left-- == 0) return unavailable("cut short");
      auto reply = ask()(request, std::move(bodies));
      is_finished = reply.ok() && reply->state == wire::ImportState::there;
      return reply;
    };
    const auto reply = import_history(history, history.hash(), asked, idems());
    open_target();
    EXPECT_EQ(target_findings(), "");
    if (reply.ok()) break;
    ASSERT_CODE(reply, Code::unavailable);
    ASSERT_LT(round, 200u);
    if (is_finished) continue;
    EXPECT_EQ(told_runs(*target_), nothing());
    EXPECT_EQ(found_runs(*target_, "model = 'total'", "", ""), "");
    EXPECT_EQ(found_runs(*target_, "params.depth > 0", "metrics.rmse"), "");
    EXPECT_EQ(told_dataset(*target_, 1), "not_found");
    // Others go on; the model gets no run of its own.
    const std::string name = "own" + std::to_string(round);
    start(*target_, 100 + round, name);
    epochs.push_back(target_->runs(local_, {"acme", {}})->epoch);
    auto request = of_run<wire::RunStartRequest>(99);
    request.model = "total";
    EXPECT_CODE(target_->run_start(local_, request), Code::failed_precondition);
  }
  expect_equal();
  EXPECT_EQ(told_dataset(*target_, 1), told_dataset(*registry_, 1));
  EXPECT_GT(epochs.size(), 10u);
  // As of the epochs of meanwhile there is no run of it.
  for (const std::uint64_t epoch : epochs) EXPECT_EQ(found_runs(*target_, "", "", "total", 0, epoch), "") << epoch;
}

TEST_F(MovingRunsTest, AnAbandonedImportLeavesNoRunAndNoDataset) {
  fill();
  const auto archive = exported(*registry_, "acme", "total");
  upload_all(*archive);
  ASSERT_OK_AND_ASSIGN(auto histories, histories_of(*archive));
  History& history = histories.front();
  history.most_in_step = 40;
  const auto step_of = [&](std::size_t most) {
    std::size_t left = most;
    return [this, left](const wire::ImportRequest& request,
                        std::vector<std::string> bodies) mutable -> Result<wire::ImportReply> {
      if (request.step == ImportStep::finish || left-- == 0) return unavailable("cut short");
      return ask()(request, std::move(bodies));
    };
  };
  for (const std::size_t steps : {3u, 9u, 20u, 1000u}) {
    EXPECT_CODE(import_history(history, history.hash(), step_of(steps), idems()), Code::unavailable);
    EXPECT_EQ(target_findings(), "");
    // Some at a time; whatever is left is nobody's business.
    wire::ImportRequest request;
    request.tenant = "acme";
    request.model = "total";
    request.step = ImportStep::abandon;
    for (bool done = false; !done;) {
      request.idem = idems()();
      ASSERT_OK_AND_ASSIGN(const auto reply, target_->import_history(local_, request, {}));
      done = reply.state == wire::ImportState::absent;
      EXPECT_EQ(target_findings(), "");
      EXPECT_EQ(told_runs(*target_), nothing());
    }
    EXPECT_EQ(records_in("UuPYNHh"), 0u);
  }
  ASSERT_OK(import_all(*archive));
  expect_equal();
}

TEST_F(MovingRunsTest, RunsOfItsOwnOrUuidsOfOthersAreInTheWay) {
  fill();
  const auto archive = exported(*registry_, "acme", "total");
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  start(*target_, 50, "total");
  ASSERT_OK_AND_ASSIGN(const auto own, look_at(histories[0], histories[0].hash(), ask()));
  EXPECT_EQ(own.conflict, "model acme/total has runs of its own");
  const std::string before = found_runs(*target_, "", "", "");
  EXPECT_CODE(import_all(*archive), Code::already_exists);
  EXPECT_EQ(found_runs(*target_, "", "", ""), before);
  EXPECT_EQ(records_in("Hh"), 0u);
}

TEST_F(MovingRunsTest, ARunThatIsAnotherModelsIsInTheWay) {
  fill();
  const auto archive = exported(*registry_, "acme", "total");
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  start(*target_, 3, "another");
  ASSERT_OK_AND_ASSIGN(const auto look, look_at(histories[0], histories[0].hash(), ask()));
  EXPECT_EQ(look.conflict, "run " + run_uuid(3).text() + " is another model's of the tenant");
  EXPECT_CODE(import_all(*archive), Code::already_exists);
  EXPECT_EQ(records_in("Hh"), 0u);
}

TEST_F(MovingRunsTest, ADatasetThatIsThereIsPassedOverAndOneOfOtherRowsIsInTheWay) {
  fill();
  const auto archive = exported(*registry_, "acme", "total");
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  auto other = dataset(1, {"a"});
  other.rows = 5;
  other.columns[0].count = 5;
  put(*target_, other);
  ASSERT_OK_AND_ASSIGN(const auto look, look_at(histories[0], histories[0].hash(), ask()));
  EXPECT_EQ(look.conflict,
            "dataset " + other.dataset.hex() + " has 5 rows of rides-1.csv: other rows need another fingerprint");
  EXPECT_CODE(import_all(*archive), Code::already_exists);
  EXPECT_EQ(records_in("HhUP"), 0u);
}

TEST_F(MovingRunsTest, ADatasetThatIsThereKeepsWhatItSaidAndGetsTheColumnsThatItLacks) {
  fill();
  auto own = dataset(1, {"b", "z"});
  own.source = "elsewhere.csv";
  put(*target_, own);
  ASSERT_OK(import_all(*exported(*registry_, "acme", "total")));
  ASSERT_OK_AND_ASSIGN(const auto reply, target_->datasets(local_, {"acme", {own.dataset}}));
  EXPECT_EQ(reply.datasets[0].source, "elsewhere.csv");
  std::string names;
  for (const auto& column : reply.datasets[0].columns) names += column.name;
  EXPECT_EQ(names, "abcz");
  EXPECT_EQ(told_dataset(*target_, 2), told_dataset(*registry_, 2));
  EXPECT_EQ(target_findings(), "");
  // Again: nothing changes.
  const std::uint64_t epoch = target_->runs(local_, {"acme", {}})->epoch;
  ASSERT_OK(import_all(*exported(*registry_, "acme", "total")));
  EXPECT_EQ(target_->runs(local_, {"acme", {}})->epoch, epoch);
}

TEST_F(MovingRunsTest, DatasetsThatNobodyNamesComeWithTheirTenantOnly) {
  fill();
  const auto of_model = exported(*registry_, "acme", "total");
  ASSERT_OK_AND_ASSIGN(const auto some, datasets_of(*of_model));
  EXPECT_EQ(some.size(), 2u);
  const auto of_tenant = exported(*registry_, "acme");
  ASSERT_OK_AND_ASSIGN(const auto all, datasets_of(*of_tenant));
  ASSERT_EQ(all.size(), 3u);
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*of_tenant));
  const History& last = histories.back();
  EXPECT_CODE(import_datasets(last, last.hash(), all, ask(), idems()), Code::failed_precondition);
  ASSERT_OK(import_all(*of_tenant));
  EXPECT_EQ(told_dataset(*target_, 3), "not_found");
  ASSERT_OK(import_datasets(last, last.hash(), all, ask(), idems()));
  for (std::uint32_t number : {1u, 2u, 3u}) EXPECT_EQ(told_dataset(*target_, number), told_dataset(*registry_, number));
  // By the time that they had, not by that of their import.
  wire::SearchRequest request;
  request.kind = "datasets";
  request.tenant = "acme";
  request.order = "created desc";
  const auto order_of = [&](Registry& registry) {
    std::string order;
    const auto page = registry.search(local_, request);
    for (const auto& row : page->rows) {
      order += wire::decode<wire::DatasetRecord>(row.record)->source + " ";
    }
    return order;
  };
  EXPECT_EQ(order_of(*target_), order_of(*registry_));
  EXPECT_EQ(target_findings(), "");
}

TEST_F(MovingRunsTest, DatasetsThatDoNotHoldAreRefusedWithTheirPlace) {
  fill();
  const auto archive = exported(*registry_, "acme", "total");
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  const History& history = histories.front();
  ASSERT_OK(import_all(*archive));
  const auto refused = [&](const std::string& tenant, const wire::DatasetRecord& record, bool twice = false) {
    const std::string key = keys::dataset(tenant, record.dataset) + std::string(7, '\xFF') + '\xFE';
    const std::string value = wire::encode(record);
    std::vector<MovedDataset> datasets(twice ? 2 : 1);
    for (MovedDataset& dataset : datasets) dataset.key = key, dataset.value = value;
    const Status status = import_datasets(history, history.hash(), datasets, ask(), idems());
    return status.ok() ? "taken" : status.text();
  };
  const auto expect = [](const std::string& said, const std::string& says) {
    EXPECT_NE(said.find(says), std::string::npos) << said;
    EXPECT_NE(said.find("records["), std::string::npos) << said;
  };
  auto record = dataset(9, {"a"});
  record.created_us = 5;
  expect(refused("zeta", record), "of another tenant");
  expect(refused("acme", record, true), "one twice");
  auto spoilt = record;
  spoilt.rows = 3;
  expect(refused("acme", spoilt), "columns[0]");
  spoilt = record;
  spoilt.created_us = clock_.wall_us() + 1'000'000;
  expect(refused("acme", spoilt), "clock");
  spoilt = record;
  spoilt.tenant = "zeta";
  expect(refused("acme", spoilt), "of another tenant");
  spoilt = dataset(1, {});
  spoilt.rows = 3;
  expect(refused("acme", spoilt), "other rows need another fingerprint");
  EXPECT_EQ(told_dataset(*target_, 9), "not_found");
  EXPECT_EQ(refused("acme", record), "taken");
  EXPECT_EQ(target_findings(), "");
}

TEST_F(MovingRunsTest, AModelThatHasRunsOnlyMoves) {
  start(*registry_, 1, "tried", {});
  log(1, {{"rmse", 1, 5, 0}});
  clock_.advance(1'000'000'000);
  const auto archive = exported(*registry_, "acme", "tried");
  ASSERT_NE(archive, nullptr);
  ASSERT_OK(import_all(*archive));
  EXPECT_EQ(told_runs(*target_), told_runs(*registry_));
  EXPECT_EQ(found_runs(*target_, "status = 'running'", "", "tried"), found_runs(*registry_, "", "", "tried"));
  EXPECT_EQ(target_findings(), "");
  // It goes on: what ran there may run here.
  auto request = of_run<wire::RunEndRequest>(1);
  ASSERT_OK(target_->run_end(local_, request));
  EXPECT_EQ(found_runs(*target_, "status = 'running'", "", "tried"), "");
  start(*target_, 2, "tried");
  EXPECT_EQ(target_findings(), "");
  const auto back = exported(*target_, "acme", "tried");
  ASSERT_OK_AND_ASSIGN(const auto again, histories_of(*back));
  EXPECT_EQ(again[0].runs.size(), 2u);
  EXPECT_EQ(again[0].times.size(), 4u);
}

TEST_F(MovingRunsTest, NothingComesBackToAnErasedTenant) {
  fill();
  const auto archive = exported(*registry_, "acme");
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  ASSERT_OK(import_all(*archive));
  EXPECT_GT(records_in("U"), 5u);
  ASSERT_OK(target_->erase(local_, {uuid('k', 1), "acme", uuid('q', 1), false}));
  EXPECT_EQ(told_runs(*target_), nothing());
  while (target_->next_work_us() >= 0) {
    clock_.advance(target_->next_work_us());
    target_->work();
    std::this_thread::yield();
  }
  EXPECT_EQ(records_in("HhUuPOYNM"), 0u);
  EXPECT_CODE(import_history(histories[0], histories[0].hash(), ask(), idems()), Code::failed_precondition);
  EXPECT_CODE(import_datasets(histories[0], histories[0].hash(), histories[0].datasets, ask(), idems()),
              histories[0].datasets.empty() ? Code::ok : Code::failed_precondition);
  EXPECT_EQ(told_dataset(*target_, 1), "not_found");
}

TEST_F(MovingRunsTest, ARunThatNoRegistryWouldHaveWrittenIsRefusedWithItsPlace) {
  start(*registry_, 1, "tried");
  log(1, {{"rmse", 1, 5, 0}}, R"({"seed":7})");
  attach(1, "plot.svg", "<svg/>");
  end(1, wire::RunStatus::finished);
  clock_.advance(1'000'000'000);
  const auto archive = exported(*registry_, "acme", "tried");
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  const History& good = histories.front();
  ASSERT_EQ(good.records.size(), 6u);
  const auto import_spoilt = [&](std::size_t at, const std::string& key, const std::string& value) {
    History spoilt = good;
    spoilt.records[at].key = key;
    spoilt.records[at].value = value;
    const auto reply = import_history(spoilt, spoilt.hash(), ask(), idems());
    EXPECT_EQ(target_findings(), "");
    EXPECT_OK(abandon_import("acme", "tried", ask(), idems()));
    EXPECT_EQ(records_in("UuPYNHh"), 0u);
    return reply.status().text();
  };
  std::map<char, std::vector<std::size_t>> of;
  for (std::size_t i = 0; i < good.records.size(); ++i) of[good.records[i].key.front()].push_back(i);
  const auto spoil_run = [&](const std::function<void(wire::RunRecord&)>& spoil) {
    auto run = *wire::decode<wire::RunRecord>(good.records[of['U'][0]].value);
    spoil(run);
    return import_spoilt(of['U'][0], std::string(good.records[of['U'][0]].key), wire::encode(run));
  };
  const auto spoil_state = [&](std::size_t which, const std::function<void(wire::RunState&)>& spoil) {
    std::vector<std::size_t> states;
    for (const std::size_t i : of['P']) {
      if (wire::decode<wire::RunState>(good.records[i].value).ok()) states.push_back(i);
    }
    EXPECT_EQ(states.size(), 3u);
    auto state = *wire::decode<wire::RunState>(good.records[states[which]].value);
    spoil(state);
    return import_spoilt(states[which], std::string(good.records[states[which]].key), wire::encode(state));
  };
  const std::vector<std::pair<std::string, std::string>> all = {
      {"more than a run's start", spoil_run([](auto& r) { r.status = wire::RunStatus::finished; })},
      {"another run", spoil_run([](auto& r) { r.model = "total"; })},
      {"another run", spoil_run([](auto& r) { r.run = Uuid(); })},
      {"name: ", spoil_run([](auto& r) { r.name = "a\nb"; })},
      {"params_json: ", spoil_run([](auto& r) { r.params_json = "[]"; })},
      {"ahead of this registry's clock", spoil_run([&](auto& r) { r.created_us = clock_.wall_us() * 2; })},
      {"params_json: ", spoil_state(0, [](auto& s) { s.params_json = R"({"depth":2})"; })},
      {"lacks what was set before", spoil_state(0, [](auto& s) { s.params_json.clear(); })},
      {"comes twice", import_spoilt(5, std::string(good.records[4].key), std::string(good.records[4].value))},
      {"the run has ended before", spoil_state(1,
                                               [](auto& s) {
                                                 s.status = wire::RunStatus::failed;
                                                 s.ended_us = 5;
                                               })},
      {"not that of its status", spoil_state(2, [](auto& s) { s.ended_us = 0; })},
      {"not_found: records[", spoil_state(1, [](auto& s) { s.files[0].hash = blake2b_256("else"); })},
      {"another size", spoil_state(1, [](auto& s) { s.files[0].bytes += 1; })},
      {"files: not in order", spoil_state(1, [](auto& s) { s.files.push_back(s.files[0]); })},
      {"don't have that hash", import_spoilt(of['O'][0], std::string(good.records[of['O'][0]].key), "other bytes")},
  };
  for (const auto& [says, said] : all) EXPECT_NE(said.find(says), std::string::npos) << says << ": " << said;
  EXPECT_OK(import_history(good, good.hash(), ask(), idems()));
}

TEST_F(MovingRunsTest, AnArchiveOfBeforeRunsMovedIsTakenAsItWas) {
  clock_.advance(86'400'000'000);
  const std::string path = testing::source_folder() + "/tests/golden/archive/history_without_runs.espalier";
  ASSERT_OK_AND_ASSIGN(const auto archive, upkeep::Archive::open(Files::system(), path));
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  ASSERT_EQ(histories.size(), 1u);
  EXPECT_EQ(histories[0].hash().hex(), "dea8755f9a4af725dd7bc338440a82e9ee38c40edd756179b876e1aa5b6fb304");
  EXPECT_EQ(histories[0].versions.size(), 3u);
  ASSERT_OK(import_all(*archive));
  EXPECT_EQ(found(*target_, "metrics.rows = 3").size(), 3u);
  const auto back = exported(*target_, "acme", "total");
  ASSERT_OK_AND_ASSIGN(const auto again, histories_of(*back));
  EXPECT_EQ(again[0].hash(), histories[0].hash());
  EXPECT_EQ(target_findings(), "");
}

}  // namespace
}  // namespace espalier::registry
