// Two registries, runs and datasets in the first, and ways to move them to the second.
//
// Thread safety: none. Ownership: a test's.
#pragma once

#include <thread>

#include "common/bytes.h"
#include "registry/keys.h"
#include "tests/support/paths.h"
#include "tests/unit/registry/moving_fixture.h"
#include "tests/unit/registry/raw_store.h"

namespace espalier::registry {

class MovingRunsTest : public MovingFixture {
 protected:
  Uuid run_uuid(std::uint32_t number) { return uuid('n', number); }
  template <class Request>
  Request of_run(std::uint32_t number) {
    Request request;
    request.idem = uuid('d', ++changes_);
    request.tenant = "acme";
    request.run = run_uuid(number);
    return request;
  }
  void start(Registry& registry, std::uint32_t number, const std::string& model, const Hash256& dataset = {}) {
    auto request = of_run<wire::RunStartRequest>(number);
    request.model = model;
    request.name = "run " + std::to_string(number);
    request.description = "tried";
    request.properties = {{"owner", number % 2 == 0 ? "eta" : "zeta"}};
    request.params_json = R"({"depth":)" + std::to_string(number) + "}";
    request.dataset = dataset;
    ASSERT_OK(registry.run_start(local_, request));
  }
  void log(std::uint32_t number, std::vector<wire::RunPoint> points, const std::string& params = {}) {
    auto request = of_run<wire::RunLogRequest>(number);
    request.metrics = std::move(points);
    request.params_json = params;
    ASSERT_OK(registry_->run_log(local_, request));
  }
  void attach(std::uint32_t number, const std::string& name, const std::string& content) {
    auto request = of_run<wire::RunAttachRequest>(number);
    request.name = name;
    request.content = content;
    ASSERT_OK(registry_->run_attach(local_, request));
  }
  void end(std::uint32_t number, wire::RunStatus status) {
    auto request = of_run<wire::RunEndRequest>(number);
    request.status = status;
    request.message = "over";
    ASSERT_OK(registry_->run_end(local_, request));
  }
  static wire::DatasetRecord dataset(std::uint32_t number, const std::vector<std::string>& columns) {
    wire::DatasetRecord dataset;
    dataset.dataset = blake2b_256("rows " + std::to_string(number));
    dataset.tenant = "acme";
    dataset.source = "rides-" + std::to_string(number) + ".csv";
    dataset.file = blake2b_256("file");
    dataset.rows = 10 + number;
    dataset.properties = {{"owner", "eta"}};
    for (const std::string& name : columns) {
      wire::ColumnProfile column;
      column.name = name;
      column.count = dataset.rows;
      dataset.columns.push_back(column);
    }
    return dataset;
  }
  void put(Registry& registry, const wire::DatasetRecord& record) {
    ASSERT_OK(registry.dataset_put(local_, {uuid('d', ++changes_), record}));
  }

  /// Models total and other with releases, and with runs that do all that runs do in between; dataset 1 is named by a
  /// run, 2 by versions, 3 by nobody.
  void fill() {
    for (int i = 0; i < 8; ++i) do_something();
    put(*registry_, dataset(1, {"a", "b"}));
    put(*registry_, dataset(2, {"a"}));
    put(*registry_, dataset(3, {"c"}));
    put(*registry_, dataset(1, {"c"}));
    for (std::uint32_t number = 1; number <= 6; ++number) {
      const std::string model = number == 5 ? "other" : "total";
      clock_.advance(1'000'000);
      start(*registry_, number, model, number == 1 ? dataset(1, {}).dataset : Hash256());
      log(number, {{"rmse", 1, 9.0 - number, 7}, {"rmse", 2, 8.0 - number, 0}, {"mae", 1, 3, 0}});
      clock_.advance(1'000'000);
      if (number % 2 == 0) log(number, {}, R"({"l2":{"city":0.5},"family":"linear"})");
      if (number == 3) {
        // A request of more points than a step takes.
        std::vector<wire::RunPoint> points;
        for (std::uint64_t step = 0; step < 1500; ++step) points.push_back({"loss", step, 1.0 / (1.0 + step), 0});
        log(number, points);
      }
      do_something();
      log(number, {{"rmse", 10, 7.0 - number, 0}, {"rmse", 10, 6.5 - number, 0}, {"rmse", 9, 70, 0}}, R"({"seed":7})");
      attach(number, "plot.svg", "<svg/>");
      attach(number, "notes.txt", "old " + std::to_string(number));
      attach(number, "notes.txt", std::string(300'000, static_cast<char>('a' + number)));
      if (number != 4) end(number, number == 6 ? wire::RunStatus::failed : wire::RunStatus::finished);
    }
    publish_with_dataset();
    clock_.advance(3'600'000'000);
  }
  void publish_with_dataset() {
    wire::PublishRequest request;
    request.idem = uuid('d', ++changes_);
    request.tenant = "acme";
    request.model = "total";
    request.tag = "production";
    request.release = uuid('d', ++changes_);
    request.spec_json = spec_json("total", {"country"});
    request.fields = {{"age", model::FieldType::number}};
    wire::VersionRecord version;
    version.version = uuid('d', ++changes_);
    version.artefact = upload(small_artefact(77));
    version.lineage_json =
        R"({"data":{"dataset":")" + dataset(2, {}).dataset.hex() + R"("},"run":")" + run_uuid(2).text() + "\"}";
    ASSERT_OK(registry_->publish(local_, request, {wire::encode_array(std::vector{version})}));
  }

  /// All of the runs: as told, every point, every file.
  std::string told_runs(Registry& registry) {
    std::string text;
    for (std::uint32_t number = 1; number <= 6; ++number) {
      wire::RunsRequest request;
      request.tenant = "acme";
      request.runs = {run_uuid(number)};
      const auto reply = registry.runs(local_, request);
      if (!reply.ok()) {
        text += std::string(code_name(reply.status().code())) + "\n";
        continue;
      }
      wire::RunRecord run = reply->runs[0];
      run.epoch = 0;
      text += wire::encode(run) + "\n";
      wire::RunMetricsRequest metrics;
      metrics.tenant = "acme";
      metrics.run = run.run;
      metrics.limit = 100;
      do {
        auto page = registry.run_metrics(local_, metrics);
        EXPECT_OK(page);
        if (!page.ok()) return text + "?";
        metrics.cursor = page->cursor;
        page->cursor.clear();
        text += wire::encode_reply(Status(), *page) + "\n";
      } while (!metrics.cursor.empty());
      for (const wire::RunFile& file : run.files) {
        const auto content = registry.run_file(local_, {"acme", run.run, file.name});
        EXPECT_OK(content);
        text += content.ok() ? content->content : "?";
      }
    }
    return text;
  }
  std::string told_dataset(Registry& registry, std::uint32_t number) {
    const auto reply = registry.datasets(local_, {"acme", {dataset(number, {}).dataset}});
    if (!reply.ok()) return std::string(code_name(reply.status().code()));
    wire::DatasetRecord record = reply->datasets[0];
    record.epoch = 0;
    return wire::encode(record);
  }
  /// The records that a search of runs gives, without epochs.
  std::string found_runs(Registry& registry, const std::string& where, const std::string& order,
                         const std::string& model = "total", std::int64_t time_us = 0, std::uint64_t epoch = 0) {
    wire::SearchRequest request;
    request.kind = "runs";
    request.tenant = "acme";
    request.model = model;
    request.where = where;
    request.order = order;
    request.time_us = time_us;
    request.epoch = epoch;
    request.limit = 2;
    std::string text;
    do {
      const auto reply = registry.search(local_, request);
      EXPECT_OK(reply);
      if (!reply.ok()) return reply.status().text();
      for (const auto& row : reply->rows) {
        auto run = *wire::decode<wire::RunRecord>(row.record);
        run.epoch = 0;
        text += wire::encode(run) + "\n";
      }
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    return text;
  }
  void expect_equal(const std::string& model = "total") {
    EXPECT_EQ(told(*target_, "acme", model), told(*registry_, "acme", model));
    for (const std::string where :
         {"", "metrics.rmse < 4", "params.depth >= 3", "params.seed = 7", "params.family = 'linear'",
          "properties.owner = 'eta'", "status = 'running'", "status = 'failed'", "name = 'run 2'", "seconds > 0"}) {
      for (const char* order : {"created, run", "created desc, run", "metrics.rmse, run", "params.depth desc, run"}) {
        EXPECT_EQ(found_runs(*target_, where, order, model), found_runs(*registry_, where, order, model))
            << where << " by " << order;
      }
    }
  }
  std::string nothing() const { return "not_found\nnot_found\nnot_found\nnot_found\nnot_found\nnot_found\n"; }
  std::size_t records_in(std::string_view tables) {
    target_.reset();
    std::size_t count = 0;
    for (const auto& [key, value] : RawStore(target_folder()).all()) {
      const bool is_one = tables.find(key[0]) != std::string_view::npos;
      count += is_one && key.starts_with(keys::of_tenant(static_cast<keys::Table>(key[0]), "acme"));
    }
    open_target();
    return count;
  }

  std::uint32_t changes_ = 0;
};

}  // namespace espalier::registry
