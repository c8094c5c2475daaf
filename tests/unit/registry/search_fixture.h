// A small registry whose contents a plain model knows, to compare searches with.
//
// Thread safety: none. Ownership: a test's.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "common/bytes.h"
#include "registry/keys.h"
#include "registry/search/cursor.h"
#include "registry/search/index.h"
#include "registry/search/rebuild.h"
#include "registry/search/search.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {

inline wire::SearchRequest asked(const std::string& kind, const std::string& where = {},
                                 const std::string& order = {}) {
  wire::SearchRequest request;
  request.kind = kind;
  request.where = where;
  request.order = order;
  return request;
}

inline std::uint32_t number_of(const Uuid& uuid) {
  return load_u32_be(reinterpret_cast<const char*>(uuid.bytes.data()) + 12);
}

class SearchTest : public RegistryFixture {
 protected:
  /// Versions 1 to 9 of acme/total in three releases, 20 and 21 of acme/other, 30 of zeta/total.
  void fill() {
    publish_with(1, {{{}, 1, 90, "\"mae\":3"}, {{"br"}, 2, 80, "\"mae\":1"}, {{"br", "sp"}, 3, 70, ""}});
    clock_.advance(3'600'000'000);
    publish_with(2, {{{"br", "sp"}, 4, 75, "\"mae\":2"}, {{"us"}, 5, 60, "\"mae\":2"}, {{"us", "ca"}, 6, 80, ""}},
                 "next");
    clock_.advance(3'600'000'000);
    publish_with(3, {{{}, 7, 85, "\"mae\":2"}, {{"br-x"}, 8, 65, ""}, {{"us", "ca"}, 9, -5, ""}});
    publish_with(4, {{{}, 20, 10, ""}, {{"br"}, 21, 84, ""}}, "production", "acme", "other");
    publish_with(5, {{{}, 30, 1, ""}}, "production", "zeta");
  }

  struct Made {
    Path partition;
    std::uint32_t version;
    double rmse;
    std::string more;
  };
  Proposal proposal_of(std::uint32_t release, const std::vector<Made>& nodes, const std::string& tag,
                       const std::string& tenant, const std::string& model) {
    Proposal proposal;
    proposal.request.idem = uuid('i', release);
    proposal.request.tenant = tenant;
    proposal.request.model = model;
    proposal.request.tag = tag;
    proposal.request.release = uuid('r', release);
    proposal.request.spec_json = spec_json(model, {"country", "state"});
    proposal.request.fields = {{"age", model::FieldType::number}};
    proposal.request.run_json = R"({"run":"R)" + std::to_string(release) + "\"}";
    for (const Made& node : nodes) {
      wire::VersionRecord version;
      version.version = uuid('v', node.version);
      version.partition = node.partition;
      version.artefact = upload(small_artefact(1), tenant);
      version.rows = node.version * 10;
      version.metrics_json =
          "{\"rmse\":" + std::to_string(node.rmse) + (node.more.empty() ? "" : "," + node.more) + "}";
      version.lineage_json = R"({"run":"R)" + std::to_string(release) + R"(","params":{"depth":)" +
                             std::to_string(release) + R"(,"family":"linear"}})";
      proposal.versions.push_back(std::move(version));
    }
    return proposal;
  }
  void publish_with(std::uint32_t release, const std::vector<Made>& nodes, const std::string& tag = "production",
                    const std::string& tenant = "acme", const std::string& model = "total") {
    ASSERT_OK(publish(proposal_of(release, nodes, tag, tenant, model)));
  }

  void reopen_with_work(std::size_t work) {
    RegistryOptions options;
    options.search_work = work;
    registry_.reset();
    auto idle = Registry::open(files_, clock_, folder_.path(), options);
    ASSERT_OK(idle);
    registry_ = *std::move(idle);
  }

  /// All pages, as decoded records of T.
  template <class T>
  std::vector<T> all(wire::SearchRequest request, std::function<void()> between = {}) {
    std::vector<T> records;
    for (int pages = 0; pages < 10'000; ++pages) {
      const auto reply = registry_->search(local_, request);
      EXPECT_OK(reply);
      if (!reply.ok()) return records;
      EXPECT_LE(reply->rows.size(), request.limit);
      for (const auto& row : reply->rows) {
        auto record = wire::decode<T>(row.record);
        EXPECT_OK(record);
        records.push_back(*std::move(record));
      }
      request.cursor = reply->cursor;
      if (request.cursor.empty()) return records;
      if (between) between();
    }
    ADD_FAILURE() << "a search without end: " << request.where << " / " << request.order;
    return records;
  }
  /// "1 2 7": the versions found, in their order.
  std::string found(wire::SearchRequest request) {
    std::string text;
    for (const auto& version : all<wire::VersionRecord>(std::move(request))) {
      text += (text.empty() ? "" : " ") + std::to_string(number_of(version.version));
    }
    return text;
  }
  std::string found(const std::string& where, const std::string& order = {}, std::uint32_t limit = 256) {
    wire::SearchRequest request = asked("versions", where, order);
    request.limit = limit;
    return found(request);
  }
  /// The same without an order of their own.
  std::string some(const std::string& where) {
    std::vector<std::uint32_t> numbers;
    for (const auto& version : all<wire::VersionRecord>(asked("versions", where))) {
      numbers.push_back(number_of(version.version));
    }
    std::ranges::sort(numbers);
    std::string text;
    for (const std::uint32_t number : numbers) text += (text.empty() ? "" : " ") + std::to_string(number);
    return text;
  }
  Status refused(wire::SearchRequest request) {
    const auto reply = registry_->search(local_, request);
    return reply.status();
  }
};

}  // namespace espalier::registry
