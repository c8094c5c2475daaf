// Searches over a small registry, by every way there is, in pages of every size, with writers between them.
#include "tests/unit/registry/search_fixture.h"

namespace espalier::registry {
namespace {

TEST_F(SearchTest, FindsVersionsByEveryField) {
  fill();
  struct Case {
    std::string where, versions;
  };
  for (const Case& c : std::vector<Case>{
           {"", "1 2 3 4 5 6 7 8 9 20 21 30"},
           {"metrics.rmse < 70", "5 8 9 20 30"},
           {"metrics.rmse >= 84 and metrics.rmse <= 85", "7 21"},
           {"metrics.rmse in (80, 90)", "1 2 6"},
           {"metrics.rmse < 0", "9"},
           {"metrics.rmse > 1e300", ""},
           {"not metrics.rmse < 85", "1 7"},
           {"metrics.mae is missing", "3 6 8 9 20 21 30"},
           {"metrics.mae = 2", "4 5 7"},
           {"tenant = 'zeta'", "30"},
           {"tenant = 'acme' and model = 'other'", "20 21"},
           {"version = '" + uuid('v', 4).text() + "'", "4"},
           {"version in ('" + uuid('v', 9).text() + "','" + uuid('v', 30).text() + "','" + uuid('v', 99).text() + "')",
            "9 30"},
           {"release = '" + uuid('r', 2).text() + "'", "4 5 6"},
           {"release = '" + uuid('r', 99).text() + "'", ""},
           {"release in ('" + uuid('r', 4).text() + "', '" + uuid('r', 5).text() + "')", "20 21 30"},
           {"partition = ''", "1 7 20 30"},
           {"partition = 'br'", "2 21"},
           {"partition under 'br'", "2 3 4 21"},
           {"partition under 'us' and partition = 'us/ca'", "6 9"},
           {"partition like 'br-%'", "8"},
           {"level = 'global'", "1 7 20 30"},
           {"level = 'state'", "3 4 6 9"},
           {"created > '2023-11-14 22:13:21' and created < '2023-11-15'", "4 5 6"},
           {"created <= '2023-11-14 22:13:20.5'", "1 2 3"},
           {"created > '2030-01-01'", ""},
           {"created < '1980-01-01'", ""},
           {"rows = 90", "9"},
           {"rows > 200 and artefact_bytes > 0", "21 30"},
           {"principal = 'local' and model = 'other'", "20 21"},
           {"principal = 'nobody'", ""},
           {"run = 'R2'", "4 5 6"},
           {"run like 'R%' and not run in ('R1', 'R2', 'R3')", "20 21 30"},
           {"params.depth >= 4", "20 21 30"},
           {"params.family = 'linear' and rows = 10", "1"},
           {"params.family > 3", ""},
           {"tag = 'production'", "7 8 9 20 21 30"},
           {"tag = 'next'", "4 5 6"},
           {"tag != 'production' and tag != 'next'", "1 2 3"},
           {"tag in ('next', 'production') and partition = 'us/ca'", "6 9"},
           {"tag = 'nothing'", ""},
           {"metrics.rmse < 85 and partition under 'us' and created > '2023-11-14'", "5 6 9"},
           {"metrics.rmse = 80 or version = '" + uuid('v', 7).text() + "'", "2 6 7"},
       }) {
    EXPECT_EQ(some(c.where), c.versions) << c.where;
  }
}

TEST_F(SearchTest, OrdersAndPagesOfAnySizeAgree) {
  fill();
  struct Case {
    std::string where, order, versions;
  };
  for (const Case& c : std::vector<Case>{
           {"tenant = 'acme'", "metrics.rmse", "9 20 5 8 3 4 2 6 21 7 1"},
           {"", "metrics.rmse desc", "1 7 21 6 2 4 3 8 5 20 30 9"},
           {"metrics.rmse < 70", "metrics.rmse desc", "8 5 20 30 9"},
           {"model = 'total' and tenant = 'acme'", "metrics.mae, metrics.rmse", "2 5 4 7 1 9 8 3 6"},
           {"model = 'total' and tenant = 'acme'", "metrics.mae desc, metrics.rmse desc", "1 7 4 5 2 6 3 8 9"},
           {"metrics.mae > 0", "metrics.mae desc, rows", "1 4 5 7 2"},
           {"model = 'total'", "created desc, rows desc", "30 9 8 7 6 5 4 3 2 1"},
           {"model = 'total'", "epoch, rows", "1 2 3 4 5 6 7 8 9 30"},
           {"", "rows desc", "30 21 20 9 8 7 6 5 4 3 2 1"},
           {"tenant = 'acme'", "partition, epoch", "1 7 20 2 21 8 3 4 5 6 9"},
           {"tag = 'production'", "rows", "7 8 9 20 21 30"},
           {"params.depth > 0", "params.depth desc, rows", "30 20 21 7 8 9 4 5 6 1 2 3"},
       }) {
    for (const std::uint32_t limit : {1u, 2u, 3u, 5u, 256u}) {
      EXPECT_EQ(found(c.where, c.order, limit), c.versions) << c.where << " / " << c.order << " by " << limit;
    }
  }
}

TEST_F(SearchTest, FindsReleasesNodesModelsAndTenants) {
  fill();
  const auto releases = [&](const std::string& where, const std::string& order) {
    std::string text;
    wire::SearchRequest request = asked("releases", where, order);
    request.limit = 2;
    for (const auto& release : all<wire::ReleaseRecord>(request))
      text += std::to_string(number_of(release.release)) + " ";
    return text;
  };
  EXPECT_EQ(releases("", "created"), "1 2 3 4 5 ");
  EXPECT_EQ(releases("", "created desc"), "5 4 3 2 1 ");
  EXPECT_EQ(releases("tag = 'production' and tenant = 'acme'", "epoch desc"), "4 3 1 ");
  EXPECT_EQ(releases("run = 'R2'", ""), "2 ");
  EXPECT_EQ(releases("release = '" + uuid('r', 3).text() + "'", ""), "3 ");
  EXPECT_EQ(releases("moved >= 3 and created > '2023-11-14 23:00'", "moved desc, epoch"), "3 2 ");
  EXPECT_EQ(releases("principal = 'local'", "note, epoch desc"), "5 4 3 2 1 ");

  const auto nodes = [&](const std::string& where, const std::string& order) {
    std::string text;
    wire::SearchRequest request = asked("nodes", where, order);
    request.tenant = "acme";
    request.model = "total";
    request.limit = 2;
    for (const auto& node : all<wire::NodeRecord>(request)) {
      text += std::to_string(number_of(node.version)) + "x" + std::to_string(node.versions) + " ";
    }
    return text;
  };
  EXPECT_EQ(nodes("", ""), "7x2 2x1 4x2 8x1 5x1 9x2 ");
  EXPECT_EQ(nodes("versions > 1", "partition desc"), "9x2 4x2 7x2 ");
  EXPECT_EQ(nodes("partition under 'us'", ""), "5x1 9x2 ");
  EXPECT_EQ(nodes("tag = 'next' and level = 'state'", ""), "4x2 9x2 ");

  const auto models = all<wire::ModelRecord>(asked("models", "tag = 'next'"));
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].model, "total");
  EXPECT_EQ(all<wire::ModelRecord>(asked("models", "levels = 2", "model desc")).size(), 3u);
  wire::SearchRequest one = asked("tenants", "", "tenant desc");
  one.limit = 1;
  const auto tenants = all<wire::TenantRecord>(one);
  ASSERT_EQ(tenants.size(), 2u);
  EXPECT_EQ(tenants[0].tenant, "zeta");
  EXPECT_EQ(tenants[1].models, 2u);
  EXPECT_EQ(all<wire::TenantRecord>(asked("tenants", "models = 1")).size(), 1u);
}

TEST_F(SearchTest, PagesAreTheStateOfTheFirstOne) {
  fill();
  const auto none = [] {};
  for (const std::string order :
       {"", "metrics.rmse", "metrics.rmse desc", "created desc", "rows", "metrics.mae, rows"}) {
    wire::SearchRequest request = asked("versions", "metrics.rmse < 1000", order);
    request.limit = 2;
    const auto numbers = [&](const std::function<void()>& between) {
      std::multiset<std::uint32_t> all_numbers;
      for (const auto& version : all<wire::VersionRecord>(request, between)) {
        all_numbers.insert(number_of(version.version));
      }
      return all_numbers;
    };
    const auto before = numbers(none);
    static std::uint32_t next = 100;
    EXPECT_EQ(numbers([&] {
                publish_with(next, {{{"br"}, next, static_cast<double>(next % 7) * 15, ""}});
                ++next;
              }),
              before)
        << order;
  }
}

TEST_F(SearchTest, IsAsOfAnEpochOrATime) {
  fill();
  wire::SearchRequest request = asked("versions", "tag = 'production'", "rows");
  ASSERT_OK_AND_ASSIGN(const auto releases, registry_->releases(local_, of_total<wire::ReleasesRequest>()));
  request.epoch = releases.releases.back().epoch;
  EXPECT_EQ(found(request), "1 2 3");
  request.epoch = 0;
  request.time_us = 1'700'000'000'000'000 + 3'700'000'000;
  EXPECT_EQ(found(request), "1 2 3");
  request.where = "";
  EXPECT_EQ(found(request), "1 2 3 4 5 6");
  request.time_us = 1;
  EXPECT_EQ(found(request), "");
  request.time_us = 0;
  request.epoch = 1'000'000;
  EXPECT_CODE(refused(request), Code::failed_precondition);
  request = asked("versions");
  request.time_us = -2;
  EXPECT_CODE(registry_->search(local_, request), Code::invalid_argument);
  request.time_us = INT64_MAX;
  EXPECT_EQ(all<wire::VersionRecord>(request).size(), 12u);
}

TEST_F(SearchTest, AnswersWithinItsWorkAndAlwaysGetsOn) {
  fill();
  for (const std::string order : {"", "metrics.rmse", "rows desc", "metrics.mae desc, rows", "created"}) {
    const wire::SearchRequest request = asked("versions", "rows > 30", order);
    open();
    const std::string whole = found(request);
    reopen_with_work(1);
    int pages = 0;
    std::string text;
    for (const auto& version : all<wire::VersionRecord>(request, [&] { ++pages; })) {
      text += (text.empty() ? "" : " ") + std::to_string(number_of(version.version));
    }
    EXPECT_EQ(text, whole) << order;
    EXPECT_GT(pages, 5) << order;
  }
}

TEST_F(SearchTest, ALimitMayChangeFromPageToPage) {
  fill();
  reopen_with_work(1);
  for (const std::string order : {"rows desc", "metrics.mae, rows", "level, rows"}) {
    const std::string whole = found("", order);
    for (std::uint32_t first = 1; first < 4; ++first) {
      auto request = asked("versions", "", order);
      std::string text;
      for (int page = 0; page == 0 || !request.cursor.empty(); ++page) {
        request.limit = page % 2 == 0 ? first : 1000;
        ASSERT_OK_AND_ASSIGN(const auto reply, registry_->search(local_, request));
        for (const auto& row : reply.rows) {
          ASSERT_OK_AND_ASSIGN(const auto version, wire::decode<wire::VersionRecord>(row.record));
          text += (text.empty() ? "" : " ") + std::to_string(number_of(version.version));
        }
        request.cursor = reply.cursor;
      }
      EXPECT_EQ(text, whole) << order << ", " << first;
    }
  }
}

TEST_F(SearchTest, WhatAFilterReadsCountsAsWork) {
  fill();
  std::string many = "tag not in ('t0'";
  for (int i = 1; i < 100; ++i) many += ", 't" + std::to_string(i) + "'";
  auto request = asked("versions", many + ")");
  reopen_with_work(150 * 20);  // a hundred looks into the store for each version, of which there are twelve
  ASSERT_OK_AND_ASSIGN(const auto page, registry_->search(local_, request));
  EXPECT_LE(page.rows.size(), 2u);
  EXPECT_EQ(all<wire::VersionRecord>(request).size(), 12u);
}

TEST_F(SearchTest, ACursorBelongsToItsSearch) {
  fill();
  wire::SearchRequest request = asked("versions", "rows > 0", "rows");
  request.limit = 2;
  const auto first = registry_->search(local_, request);
  ASSERT_OK(first);
  ASSERT_FALSE(first->cursor.empty());
  request.cursor = first->cursor;
  EXPECT_OK(registry_->search(local_, request));

  const auto changed = [&](const std::function<void(wire::SearchRequest&)>& change) {
    wire::SearchRequest other = request;
    change(other);
    return refused(other);
  };
  EXPECT_CODE(changed([](auto& r) { r.where = "rows > 1"; }), Code::invalid_argument);
  EXPECT_CODE(changed([](auto& r) { r.order = "rows desc"; }), Code::invalid_argument);
  EXPECT_CODE(changed([](auto& r) { r.tenant = "acme"; }), Code::invalid_argument);
  EXPECT_CODE(changed([](auto& r) { r.kind = "releases", r.where = r.order = ""; }), Code::invalid_argument);
  EXPECT_CODE(changed([](auto& r) { r.cursor = "x"; }), Code::invalid_argument);
  EXPECT_CODE(changed([](auto& r) { r.cursor.pop_back(); }), Code::invalid_argument);
  EXPECT_CODE(changed([](auto& r) { r.cursor[20] ^= 1; }), Code::invalid_argument);
  EXPECT_CODE(changed([](auto& r) {
                auto cursor = *search::SearchCursor::parse(r.cursor);
                cursor.limit = 0;
                r.cursor = cursor.text();
              }),
              Code::invalid_argument);
  const Status foreign = changed([](auto& r) {
    auto cursor = *search::SearchCursor::parse(r.cursor);
    cursor.generation ^= 1;
    r.cursor = cursor.text();
  });
  EXPECT_CODE(foreign, Code::failed_precondition);
  EXPECT_NE(foreign.message().find("generation"), std::string::npos);
  const auto other_principal = registry_->search(Principal("eta").grant("acme", {.read = true}), request);
  EXPECT_CODE(other_principal, Code::invalid_argument);

  open();  // a restart changes nothing
  const auto again = registry_->search(local_, request);
  ASSERT_OK(again);
  EXPECT_EQ(again->rows.size(), 2u);
}

TEST_F(SearchTest, RefusesWhatItCannotRead) {
  fill();
  EXPECT_CODE(refused(asked("version")), Code::invalid_argument);
  EXPECT_CODE(refused(asked("")), Code::invalid_argument);
  EXPECT_CODE(refused(asked("versions", "rows >")), Code::invalid_argument);
  EXPECT_CODE(refused(asked("versions", "", "rows down")), Code::invalid_argument);
  EXPECT_CODE(refused(asked("releases", "rows > 1")), Code::invalid_argument);
  wire::SearchRequest request = asked("versions");
  request.model = "total";
  EXPECT_CODE(refused(request), Code::invalid_argument);
  request.tenant = "acme";
  request.model = "nothing";
  EXPECT_CODE(refused(request), Code::not_found);
  request.tenant = "nobody";
  request.model = "";
  EXPECT_CODE(refused(request), Code::not_found);
  request.tenant = "A B";
  EXPECT_CODE(refused(request), Code::invalid_argument);
}

TEST_F(SearchTest, SeesOnlyTheTenantsThatThePrincipalMayRead) {
  fill();
  const Principal zeta = Principal("z").grant("zeta", {.read = true});
  const auto reply = registry_->search(zeta, asked("versions"));
  ASSERT_OK(reply);
  ASSERT_EQ(reply->rows.size(), 1u);
  EXPECT_EQ(reply->rows[0].tenant, "zeta");
  EXPECT_EQ(registry_->search(zeta, asked("tenants"))->rows.size(), 1u);
  wire::SearchRequest request = asked("versions");
  request.tenant = "acme";
  EXPECT_CODE(registry_->search(zeta, request), Code::permission_denied);
}

TEST_F(SearchTest, MetricsWithoutIndexAreFoundAllTheSame) {
  fill();
  // Nine numbers: the last by name has no entry; nor has one with a dot.
  publish_with(6, {{{"us"}, 40, 50, R"("a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"zz":7,"top.5":3,"in":{"side":4})"}});
  publish_with(7, {{{"us"}, 41, 51, R"("zz":7)"}});
  EXPECT_EQ(some("metrics.zz = 7"), "40 41");
  EXPECT_EQ(found("metrics.zz = 7", "metrics.zz desc, rows"), "40 41");
  EXPECT_EQ(found("rows > 390", "metrics.zz, rows desc"), "41 40");
  EXPECT_EQ(some("metrics.rmse = 50"), "40");
  EXPECT_EQ(some("metrics.top.5 = 3"), "40");
  EXPECT_EQ(some("metrics.in.side > 3"), "40");
}

/// The records of a table, straight from the store; the registry is closed meanwhile.
class SearchStoreTest : public SearchTest {
 protected:
  std::unique_ptr<LevelDbStore> store() {
    registry_.reset();
    auto opened = LevelDbStore::open(files_, clock_, folder_.path() + "/store");
    EXPECT_OK(opened);
    return *std::move(opened);
  }
};

TEST_F(SearchStoreTest, TheIndexCanBeMadeAnewFromTheRecords) {
  fill();
  publish_with(6, {{{"us"}, 52, 3, ""}, {{"br"}, 51, 4, R"("a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":9)"}});
  ASSERT_OK(roll_back(7, 1));
  std::map<std::string, std::string> present, wanted;
  const auto store = this->store();
  const auto cursor = *store->scan();
  for (cursor->seek("X"); cursor->valid() && cursor->key().starts_with("X"); cursor->next()) {
    present.emplace(cursor->key(), cursor->value());
  }
  for (const auto& [tenant, model] : std::initializer_list<std::pair<const char*, const char*>>{
           {"acme", "total"}, {"acme", "other"}, {"zeta", "total"}}) {
    EXPECT_OK(search::each_index_entry(*store, tenant, model, [&](std::string_view key, std::string_view value) {
      wanted.insert_or_assign(std::string(key), value);
    }));
  }
  EXPECT_GT(present.size(), 30u);
  EXPECT_EQ(present, wanted);
}

TEST_F(SearchStoreTest, ACursorOfACollectedEpochIsRefused) {
  fill();
  wire::SearchRequest request = asked("versions");
  request.epoch = 4;
  request.limit = 1;
  const auto first = registry_->search(local_, request);
  ASSERT_OK(first);
  {
    const auto store = this->store();
    auto batch = *store->begin();
    const auto cursor = *store->scan();
    int left = 3;
    for (cursor->seek("F"); left > 0; cursor->next(), --left) batch.remove(cursor->key());
    ASSERT_OK(store->commit(batch));
  }
  open();
  request.epoch = 0;
  EXPECT_OK(registry_->search(local_, request));
  request.cursor = first->cursor;
  const Status collected = refused(request);
  EXPECT_CODE(collected, Code::failed_precondition);
  EXPECT_NE(collected.message().find("is collected"), std::string::npos) << collected.message();
}

TEST_F(SearchStoreTest, AnEntryWithoutItsRecordIsPassedOver) {
  fill();
  {
    const auto store = this->store();
    const auto key = *store->get(keys::version_by_uuid("acme", uuid('v', 5)));
    auto batch = *store->begin();
    batch.remove(*key);
    ASSERT_OK(store->commit(batch));
  }
  open();
  EXPECT_EQ(some("metrics.rmse = 60"), "");
  EXPECT_EQ(some("run = 'R2'"), "4 6");
  EXPECT_EQ(some("version = '" + uuid('v', 5).text() + "'"), "");
  EXPECT_EQ(found("tag = 'next'", "rows"), "4 6");
}

}  // namespace
}  // namespace espalier::registry
