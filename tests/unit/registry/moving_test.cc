// A history that was moved into another registry answers as it did; nobody sees it before it is whole, and what can't
// be taken changes nothing.
#include "tests/unit/registry/moving_fixture.h"

#include <ctime>

#include "common/bytes.h"
#include "registry/keys.h"

namespace espalier::registry {
namespace {

using wire::ImportState;
using wire::ImportStep;

/// A moment as searches take it.
std::string literal(std::int64_t time_us) {
  const std::time_t seconds = time_us / 1'000'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "'%Y-%m-%d %H:%M:%S.", &parts);
  const std::string micros = std::to_string(1'000'000 + time_us % 1'000'000).substr(1);
  return std::string(text, size) + micros + "'";
}

TEST_F(MovingTest, AnImportedHistoryAnswersAsItsSourceDidAtEveryTime) {
  publish_to_target(1);
  fill(60);
  clock_.advance(3'600'000'000);
  const auto archive = exported(*registry_, "acme");
  ASSERT_NE(archive, nullptr);
  ASSERT_OK(import_all(*archive));
  for (const std::string model : {"total", "other"}) {
    EXPECT_EQ(told(*target_, "acme", model), told(*registry_, "acme", model));
    const auto times = times_of("acme", model);
    EXPECT_GT(times.size(), 10u);
    for (const std::int64_t time : times) {
      EXPECT_EQ(told(*target_, "acme", model, time), told(*registry_, "acme", model, time)) << time;
      EXPECT_EQ(told(*target_, "acme", model, time - 1), told(*registry_, "acme", model, time - 1)) << time;
      EXPECT_EQ(told(*target_, "acme", model, time + 999), told(*registry_, "acme", model, time + 999)) << time;
    }
  }
  EXPECT_EQ(told(*target_, "acme", "own", clock_.wall_us()).substr(0, 3), told(*target_, "acme", "own").substr(0, 3));
  EXPECT_EQ(told(*target_, "zeta", "total"), "not_found");
  EXPECT_EQ(target_findings(), "");
  open_target();
  EXPECT_EQ(target_findings(), "");
}

TEST_F(MovingTest, WhatIsExportedOfAnImportedModelIsTheSameHistory) {
  fill(40);
  clock_.advance(3'600'000'000);
  const auto archive = exported(*registry_, "zeta");
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  ASSERT_EQ(histories.size(), 2u);
  ASSERT_OK(import_all(*archive));
  const auto again = exported(*target_, "zeta");
  ASSERT_OK_AND_ASSIGN(const auto moved, histories_of(*again));
  ASSERT_EQ(moved.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(moved[i].hash(), histories[i].hash());
    EXPECT_EQ(moved[i].records.size(), histories[i].records.size());
    EXPECT_EQ(moved[i].entries, histories[i].entries);
  }
  EXPECT_EQ(again->counts(), archive->counts());
}

TEST_F(MovingTest, NothingIsSeenBeforeTheLastStepAndThenAllOfIt) {
  fill(60);
  publish_to_target(1);
  clock_.advance(3'600'000'000);
  const auto archive = exported(*registry_, "acme", "total");
  upload_all(*archive);
  ASSERT_OK_AND_ASSIGN(auto histories, histories_of(*archive));
  History& history = histories.front();
  history.most_in_step = 3;
  std::uint32_t next = 2;
  std::vector<std::uint64_t> epochs;
  int steps = 0;
  const auto look = [&] {
    ++steps;
    EXPECT_EQ(told(*target_, "acme", "total"), "not_found");
    EXPECT_EQ(told(*target_, "acme", "total", times_of("acme", "total").front()), "not_found");
    EXPECT_EQ(found(*target_, "rows >= 0", "", "acme", "").size(), next - 1u);
    EXPECT_EQ(target_findings(), "");
    // Others go on.
    publish_to_target(next++);
    epochs.push_back(target_->hello(local_, {})->epoch);
  };
  ASSERT_OK(import_history(history, history.hash(), ask(look), idems()));
  EXPECT_GE(steps, 20);
  EXPECT_EQ(told(*target_, "acme", "total"), told(*registry_, "acme", "total"));
  // As of the epochs of before and meanwhile the registry answers as it did.
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    wire::ModelsRequest models;
    models.tenant = "acme";
    models.epoch = epochs[i];
    ASSERT_OK_AND_ASSIGN(const auto then, target_->models(local_, models));
    EXPECT_EQ(then.models.size(), 1u);
    models.model = "total";
    EXPECT_CODE(target_->models(local_, models), Code::not_found);
    wire::SearchRequest search;
    search.kind = "versions";
    search.tenant = "acme";
    search.epoch = epochs[i];
    ASSERT_OK_AND_ASSIGN(const auto page, target_->search(local_, search));
    EXPECT_EQ(page.rows.size(), i + 2);
  }
  EXPECT_EQ(target_findings(), "");
}

TEST_F(MovingTest, AnImportGoesOnAfterAKillAtAnyStep) {
  fill(30);
  clock_.advance(3'600'000'000);
  const auto archive = exported(*registry_, "acme", "total");
  upload_all(*archive);
  ASSERT_OK_AND_ASSIGN(auto histories, histories_of(*archive));
  History& history = histories.front();
  history.most_in_step = 7;
  const Hash256 hash = history.hash();
  // Each round is cut short a step later, and the registry opened again.
  for (int allowed = 1;; ++allowed) {
    int left = allowed;
    const AskImport asked = [&](const wire::ImportRequest& request,
                                std::vector<std::string> bodies) -> Result<wire::ImportReply> {
      if (left-- == 0) return unavailable("cut short");
      return ask()(request, std::move(bodies));
    };
    const auto reply = import_history(history, hash, asked, idems());
    open_target();
    EXPECT_EQ(target_findings(), "");
    if (reply.ok()) break;
    ASSERT_CODE(reply, Code::unavailable);
    ASSERT_LT(allowed, 500);
  }
  EXPECT_EQ(told(*target_, "acme", "total"), told(*registry_, "acme", "total"));
  // And again: it is passed over.
  const std::uint64_t epoch = target_->hello(local_, {})->epoch;
  ASSERT_OK_AND_ASSIGN(const auto again, import_history(history, hash, ask(), idems()));
  EXPECT_EQ(again.state, ImportState::there);
  EXPECT_EQ(target_->hello(local_, {})->epoch, epoch);
}

TEST_F(MovingTest, AModelThatIsThereOrAnotherHistoryIsNotTouched) {
  fill(30);
  clock_.advance(3'600'000'000);
  const auto archive = exported(*registry_, "acme", "total");
  publish_to_target(1, "total");
  const std::string before = told(*target_, "acme", "total");
  EXPECT_CODE(import_all(*archive), Code::already_exists);
  EXPECT_EQ(told(*target_, "acme", "total"), before);
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  ASSERT_OK_AND_ASSIGN(const auto look, look_at(histories[0], histories[0].hash(), ask()));
  EXPECT_EQ(look.conflict, "model acme/total is there, with a history of its own");

  const auto other = exported(*registry_, "acme", "other");
  ASSERT_OK(import_all(*other));
  ASSERT_OK_AND_ASSIGN(const auto of_other, histories_of(*other));
  EXPECT_CODE(import_history(of_other[0], blake2b_256("another"), ask(), idems()), Code::already_exists);
  EXPECT_EQ(target_findings(), "");
}

TEST_F(MovingTest, WhileAnImportIsUnderWayItsModelIsNotPublishedUntilItIsAbandoned) {
  fill(40);
  clock_.advance(3'600'000'000);
  const auto archive = exported(*registry_, "acme", "total");
  upload_all(*archive);
  ASSERT_OK_AND_ASSIGN(auto histories, histories_of(*archive));
  History& history = histories.front();
  history.most_in_step = 3;
  int left = 12;
  const AskImport some = [&](const wire::ImportRequest& request,
                             std::vector<std::string> bodies) -> Result<wire::ImportReply> {
    if (left-- == 0) return unavailable("cut short");
    return ask()(request, std::move(bodies));
  };
  EXPECT_CODE(import_history(history, history.hash(), some, idems()), Code::unavailable);
  EXPECT_CODE(import_history(history, blake2b_256("another"), ask(), idems()), Code::already_exists);
  wire::PublishRequest request;
  request.idem = uuid('i', 5);
  request.tenant = "acme";
  request.model = "total";
  request.tag = "production";
  request.release = uuid('r', 5);
  request.spec_json = spec_json("total", {"country"});
  EXPECT_CODE(target_->publish(local_, request, {}), Code::failed_precondition);

  ASSERT_OK(abandon_import("acme", "total", ask(), idems()));
  ASSERT_OK(abandon_import("acme", "total", ask(), idems()));
  EXPECT_EQ(target_findings(), "");
  publish_to_target(6, "total");
  EXPECT_CODE(import_history(history, history.hash(), ask(), idems()), Code::already_exists);
  EXPECT_CODE(import_all(*exported(*registry_, "acme", "other")), Code::ok);
  EXPECT_CODE(abandon_import("acme", "other", ask(), idems()), Code::failed_precondition);
}

TEST_F(MovingTest, AnImportThatLacksAnArtefactOrABaseIsRefused) {
  fill(20);
  clock_.advance(3'600'000'000);
  const auto archive = exported(*registry_, "acme", "total");
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  const auto reply = import_history(histories[0], histories[0].hash(), ask(), idems());
  EXPECT_CODE(reply, Code::not_found);
  EXPECT_NE(reply.status().message().find("records["), std::string::npos) << reply.status().message();
  EXPECT_NE(reply.status().message().find("artefact "), std::string::npos);
  EXPECT_EQ(target_findings(), "");
  // With the artefacts it goes on.
  EXPECT_OK(import_all(*archive));
  EXPECT_EQ(told(*target_, "acme", "total"), told(*registry_, "acme", "total"));
}

TEST_F(MovingTest, SearchesFindWhatWasImportedByWhatItWasAndWhen) {
  fill(60);
  clock_.advance(3'600'000'000);
  ASSERT_OK(import_all(*exported(*registry_, "acme", "total")));
  publish_to_target(1);
  const auto times = times_of("acme", "total");
  const std::string middle = literal(times[times.size() / 2]);
  for (const std::string& where : std::vector<std::string>{
           std::string("metrics.rmse < 6"), std::string("run = 'R1'"), std::string("tag = 'production'"),
           "created > " + middle, "created <= " + middle, "created = " + middle, std::string("rows >= 0"),
           "created > " + middle + " and metrics.rmse < 6"}) {
    for (const char* order : {"", "created, version", "created desc, version", "metrics.rmse, version", "version"}) {
      EXPECT_EQ(found(*target_, where, order), found(*registry_, where, order)) << where << " by " << order;
    }
  }
  // Across models too.
  EXPECT_EQ(found(*target_, "created <= " + middle, "", "acme", ""), found(*registry_, "created <= " + middle));
  auto expected = found(*registry_, "rows >= 0", "created, version");
  expected.push_back(uuid('v', 1).text());
  EXPECT_EQ(found(*target_, "rows >= 0", "created, version", "acme", ""), expected);
}

TEST_F(MovingTest, AnImportOfOneModelLeavesOthersTheirIndexOfTimes) {
  fill(40);
  clock_.advance(3'600'000'000);
  ASSERT_OK(import_all(*exported(*registry_, "acme", "total")));
  for (std::uint32_t number = 1; number <= 40; ++number) {
    clock_.advance(1'000'000);
    publish_to_target(number, number % 2 == 0 ? "even" : "odd", "globex");
  }
  // What is newest is found first, with little work.
  RegistryOptions options;
  options.search_work = 60;
  target_.reset();
  ASSERT_OK_AND_ASSIGN(target_, Registry::open(files_, clock_, target_folder(), options));
  wire::SearchRequest request;
  request.kind = "versions";
  request.tenant = "globex";
  request.order = "created desc";
  request.limit = 1;
  ASSERT_OK_AND_ASSIGN(const auto of_two, target_->search(local_, request));
  ASSERT_EQ(of_two.rows.size(), 1u);
  EXPECT_EQ(wire::decode<wire::VersionRecord>(of_two.rows[0].record)->version, uuid('v', 40));
  // Where one of them was imported, all are looked at.
  request.tenant.clear();
  ASSERT_OK_AND_ASSIGN(const auto of_all, target_->search(local_, request));
  EXPECT_TRUE(of_all.rows.empty());
  EXPECT_FALSE(of_all.cursor.empty());
}

TEST_F(MovingTest, WhatIsInQuarantineStaysInItAndWasInItWhenItWas) {
  fill(40);
  wire::VersionsRequest request;
  request.tenant = "acme";
  request.model = "total";
  ASSERT_OK_AND_ASSIGN(const auto page, registry_->versions(local_, request));
  ASSERT_GE(page.versions.size(), 2u);
  const Uuid stays = page.versions[0].version;
  const Uuid returns = page.versions[1].version;
  std::vector<std::int64_t> times;
  std::uint32_t number = 0;
  for (const auto& [version, lift] : {std::pair(stays, false), std::pair(returns, false), std::pair(returns, true)}) {
    clock_.advance(1'000'000);
    ASSERT_OK(registry_->quarantine(local_, {uuid('q', ++number), "acme", "total", version, lift, "harm"}));
    times.push_back(clock_.wall_us());
  }
  clock_.advance(3'600'000'000);
  ASSERT_OK(import_all(*exported(*registry_, "acme", "total")));
  const auto in_quarantine = [&](std::int64_t time_us) {
    wire::ModelsRequest models;
    models.tenant = "acme";
    models.model = "total";
    models.time_us = time_us;
    return target_->models(local_, models)->models.front().quarantined;
  };
  EXPECT_EQ(in_quarantine(0), std::vector<Uuid>{stays});
  EXPECT_EQ(in_quarantine(times[0]), std::vector<Uuid>{stays});
  EXPECT_EQ(in_quarantine(times[1]), (std::vector<Uuid>{std::min(stays, returns), std::max(stays, returns)}));
  EXPECT_EQ(told(*target_, "acme", "total"), told(*registry_, "acme", "total"));
  EXPECT_EQ(target_findings(), "");
}

TEST_F(MovingTest, AnImportedModelGoesOnAsAnyOther) {
  fill(40);
  clock_.advance(3'600'000'000);
  ASSERT_OK(import_all(*exported(*registry_, "acme", "total")));
  const auto times = times_of("acme", "total");
  clock_.advance(1'000'000);
  wire::RollbackRequest back;
  back.idem = uuid('i', 1);
  back.tenant = "acme";
  back.model = "total";
  back.tag = "production";
  back.release = uuid('r', 1);
  back.to.time_us = times[times.size() / 2];
  ASSERT_OK(registry_->rollback(local_, back));
  ASSERT_OK(target_->rollback(local_, back));
  wire::TagEntriesRequest now;
  now.tenant = "acme";
  now.model = "total";
  now.tag = "production";
  const auto versions_of = [&](Registry& registry) {
    std::string text;
    const auto page = registry.tag_entries(local_, now);
    for (const auto& entry : page->entries) text += entry.version.text() + "\n";
    return text;
  };
  EXPECT_EQ(versions_of(*target_), versions_of(*registry_));
  EXPECT_EQ(target_findings(), "");
  // And is exported with both.
  const auto both = exported(*target_, "acme", "total");
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*both));
  EXPECT_EQ(histories[0].releases.size(), times.size() + 1);
}

TEST_F(MovingTest, ClocksThatGoAheadAndCommitsOutOfTurnAreRefused) {
  fill(20);
  const auto archive = exported(*registry_, "acme", "total");
  clock_.advance(-3'600'000'000ll);
  upload_all(*archive);
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  const History& history = histories.front();
  EXPECT_CODE(import_history(history, history.hash(), ask(), idems()), Code::failed_precondition);
  clock_.advance(7'200'000'000);
  wire::ImportRequest request;
  request.tenant = "acme";
  request.model = "total";
  request.history = history.hash();
  const auto step = [&](ImportStep of, std::uint64_t from, std::vector<std::int64_t> times, const std::string& body) {
    request.idem = idems()();
    request.step = of;
    request.from = from;
    request.times = std::move(times);
    Registry::Bodies bodies;
    if (of == ImportStep::records) bodies.push_back(body);
    return target_->import_history(local_, request, bodies);
  };
  EXPECT_CODE(step(ImportStep::records, 0, {}, history.slice(0).payload), Code::failed_precondition);
  EXPECT_CODE(step(ImportStep::finish, 0, {}, ""), Code::failed_precondition);
  EXPECT_CODE(step(ImportStep::begin, 1, history.times, ""), Code::invalid_argument);
  EXPECT_CODE(step(ImportStep::begin, 0, {}, ""), Code::invalid_argument);
  EXPECT_CODE(step(ImportStep::begin, 0, {5, 5}, ""), Code::invalid_argument);
  ASSERT_OK(step(ImportStep::begin, 0, history.times, ""));
  EXPECT_CODE(step(ImportStep::records, 1, {}, history.slice(1).payload), Code::invalid_argument);
  EXPECT_CODE(step(ImportStep::records, 0, {}, history.slice(1).payload), Code::invalid_argument);
  EXPECT_CODE(step(ImportStep::records, 0, {}, history.slice(0).payload.substr(0, 100)), Code::corrupt);
  EXPECT_CODE(step(ImportStep::records, 0, {}, ""), Code::invalid_argument);
  EXPECT_CODE(step(ImportStep::finish, 0, {}, ""), Code::invalid_argument);
  std::string twice;
  const MovedRecord& first = history.records.front();
  upkeep::append_record(twice, first.key, first.value);
  std::string unknown = twice;
  upkeep::append_record(unknown, keys::epoch(1), "12345678");
  EXPECT_CODE(step(ImportStep::records, 0, {}, unknown), Code::invalid_argument);
  EXPECT_CODE(target_->import_history(Principal("eve"), request, {}), Code::permission_denied);
  EXPECT_EQ(target_findings(), "");
  ASSERT_OK(import_history(history, history.hash(), ask(), idems()));
  EXPECT_EQ(target_findings(), "");
}

TEST_F(MovingTest, AStateThatNoRegistryMakesIsRefused) {
  fill(20);
  clock_.advance(3'600'000'000);
  const auto archive = exported(*registry_, "acme", "total");
  upload_all(*archive);
  ASSERT_OK_AND_ASSIGN(const auto histories, histories_of(*archive));
  const History& history = histories.front();
  ASSERT_EQ(history.records.front().key.front(), static_cast<char>(keys::Table::model));
  wire::ImportRequest request;
  request.idem = idems()();
  request.tenant = "acme";
  request.model = "total";
  request.history = history.hash();
  request.step = ImportStep::begin;
  request.times = history.times;
  ASSERT_OK(target_->import_history(local_, request, {}));
  request.step = ImportStep::records;
  request.times.clear();
  const auto import_state = [&](const std::function<void(wire::ModelRecord&)>& spoil) {
    auto state = wire::decode<wire::ModelRecord>(history.records.front().value);
    state->tags = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "production"};
    spoil(*state);
    std::string payload;
    upkeep::append_record(payload, history.records.front().key, wire::encode(*state));
    request.idem = idems()();
    return target_->import_history(local_, request, {payload});
  };
  using State = wire::ModelRecord;
  const std::vector<wire::Overlay> eight = {{"a", "b"}, {"b", "c"}, {"c", "d"}, {"d", "e"},
                                            {"e", "f"}, {"f", "g"}, {"g", "h"}};
  for (const auto& [says, spoil] : std::vector<std::pair<std::string, std::function<void(State&)>>>{
           {"overlays: a loop",
            [](State& s) {
              s.overlays = {{"a", "b"}, {"b", "a"}};
            }},
           {"overlays: a loop",
            [](State& s) {
              s.overlays = {{"a", "a"}};
            }},
           {"overlays: a loop",
            [](State& s) {
              s.overlays = {{"a", "b"}, {"b", "c"}, {"c", "b"}};
            }},
           {"more than 8 tags on each other",
            [&](State& s) {
              s.overlays = eight;
              s.overlays.push_back({"h", "i"});
            }},
           {"overlays: tag x is not",
            [](State& s) {
              s.overlays = {{"a", "x"}};
            }},
           {"overlays: tag x is not",
            [](State& s) {
              s.overlays = {{"x", "a"}};
            }},
           {"overlays: not in order",
            [](State& s) {
              s.overlays = {{"b", "c"}, {"a", "c"}};
            }},
           {"overlays: not in order",
            [](State& s) {
              s.overlays = {{"a", "b"}, {"a", "c"}};
            }},
           {"tags: not in order",
            [](State& s) {
              s.tags = {"a", "a"};
            }},
           {"tags: 1001 of them",
            [](State& s) {
              s.tags.clear();
              for (int i = 1000; i <= 2000; ++i) s.tags.push_back("t" + std::to_string(i));
            }},
           {"quarantined: not in order",
            [](State& s) {
              s.quarantined = {uuid('v', 2), uuid('v', 1)};
            }},
           {"quarantined: not in order",
            [](State& s) {
              s.quarantined = {uuid('v', 1), uuid('v', 1)};
            }},
           {"quarantined: 10001 of them", [](State& s) { s.quarantined.resize(10'001); }},
           {"levels: not those", [](State& s) { s.levels.push_back("city"); }},
           {"levels: not those", [](State& s) { s.levels.clear(); }},
       }) {
    const auto reply = import_state(spoil);
    EXPECT_CODE(reply, Code::invalid_argument);
    EXPECT_NE(reply.status().message().find(says), std::string::npos) << says << ": " << reply.status().text();
  }
  EXPECT_EQ(target_findings(), "");
  EXPECT_OK(import_state([&](State& s) { s.overlays = eight; }));
}

TEST_F(MovingTest, AnArchiveOfAnotherKindIsRefused) {
  fill(10);
  const auto histories = exported(*registry_, "acme");
  EXPECT_CODE(upkeep::restore(Files::system(), clock_, *histories, folder_ / "new"), Code::failed_precondition);
  wire::ArchiveRequest request;
  request.session = uuid('s', 1000);
  request.tenant = "nobody";
  Registry::Bodies bodies;
  Result<wire::ArchiveReply> reply = wire::ArchiveReply{};
  for (; reply.ok() && !reply->done; ++request.step) reply = registry_->archive(local_, request, bodies);
  EXPECT_CODE(reply, Code::not_found);
  request.step = 0;
  EXPECT_CODE(registry_->archive(Principal("eve"), request, bodies), Code::permission_denied);
  request.tenant.clear();
  request.model = "total";
  EXPECT_CODE(registry_->archive(local_, request, bodies), Code::invalid_argument);
}

}  // namespace
}  // namespace espalier::registry
