// Any search gives what looking at everything gives: `not not (filter)` has no test that an index could serve, so the
// two are answered in different ways.
#include <algorithm>
#include <random>

#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

class RandomSearchTest : public RegistryFixture {
 protected:
  std::size_t below(std::size_t bound) { return random_() % bound; }
  template <class T>
  const T& one_of(const std::vector<T>& list) {
    return list[below(list.size())];
  }

  void publish_some(std::uint32_t release) {
    const std::string model = one_of<std::string>({"total", "other"});
    wire::PublishRequest request;
    request.idem = uuid('i', release);
    request.tenant = one_of<std::string>({"acme", "zeta"});
    request.model = model;
    request.tag = one_of<std::string>({"production", "next"});
    request.release = uuid('r', release);
    request.spec_json = spec_json(model, {"country", "state"});
    request.fields = {{"age", model::FieldType::number}};
    request.replace = below(3) == 0;
    std::vector<wire::VersionRecord> versions;
    const Hash256 artefact = upload(small_artefact(1), request.tenant);
    for (std::size_t i = 0; i < 12; ++i) {
      wire::VersionRecord version;
      version.version = uuid('v', next_++);
      version.partition = {one_of<std::string>({"br", "us", "br-x"}), std::to_string(i)};
      version.artefact = artefact;
      version.rows = below(10);
      std::string metrics;
      for (const char* name : {"rmse", "mae"}) {
        if (below(4) == 0) continue;
        metrics += (metrics.empty() ? "" : ",") + ('"' + std::string(name)) + "\":" + std::to_string(below(12));
      }
      version.metrics_json = "{" + metrics + "}";
      version.lineage_json = R"({"run":"R)" + std::to_string(below(4)) + "\"}";
      versions.push_back(std::move(version));
    }
    clock_.advance(60'000'000);
    const std::string body = wire::encode_array(versions);
    const auto reply = registry_->publish(local_, request, {body});
    ASSERT_OK(reply);
    epochs_.push_back(reply->epoch);
  }

  std::string random_test() {
    const std::string relation = one_of<std::string>({"=", "!=", "<", "<=", ">", ">="});
    const std::string number = std::to_string(below(12));
    switch (below(10)) {
      case 0: return "metrics.rmse " + relation + " " + number;
      case 1: return "metrics.mae " + relation + " " + number;
      case 2: return "epoch " + relation + " " + std::to_string(below(80));
      case 3: return "created " + relation + " '2023-11-14 22:" + std::to_string(13 + below(30)) + ":20'";
      case 4: return "run = 'R" + std::to_string(below(5)) + "'";
      case 5: return "partition under '" + one_of<std::string>({"br", "us", "br-x", "br/3", ""}) + "'";
      case 6: return "tag = '" + one_of<std::string>({"production", "next", "none"}) + "'";
      case 7: return "release = '" + uuid('r', static_cast<std::uint32_t>(below(30))).text() + "'";
      case 8: return "metrics.rmse in (" + number + ", " + std::to_string(below(12)) + ")";
      default: return "rows " + relation + " " + std::to_string(below(10));
    }
  }

  /// The versions found, a page after the other.
  std::vector<Uuid> found(wire::SearchRequest request) {
    std::vector<Uuid> versions;
    do {
      const auto page = registry_->search(local_, request);
      EXPECT_OK(page);
      if (!page.ok()) break;
      for (const auto& row : page->rows) versions.push_back(wire::decode<wire::VersionRecord>(row.record)->version);
      request.cursor = page->cursor;
    } while (!request.cursor.empty());
    return versions;
  }

  std::mt19937 random_{20261121};
  std::uint32_t next_ = 1;
  std::vector<std::uint64_t> epochs_;
};

TEST_F(RandomSearchTest, IndexesGiveWhatLookingAtEverythingGives) {
  for (std::uint32_t release = 1; release < 15; ++release) publish_some(release);
  std::size_t matches = 0;
  for (int i = 0; i < 100; ++i) {
    std::string filter = random_test();
    for (std::size_t tests = below(3); tests > 0; --tests) filter += " and " + random_test();
    wire::SearchRequest request;
    request.kind = "versions";
    if (below(2) == 0) request.tenant = "acme";
    if (!request.tenant.empty() && below(2) == 0) request.model = "total";
    request.epoch = below(2) == 0 ? 0 : epochs_[5 + below(9)];
    request.where = "not not (" + filter + ")";
    auto wanted = found(request);
    std::ranges::sort(wanted);
    matches += wanted.size();
    request.where = filter;
    request.order = one_of<std::string>({"", "metrics.rmse", "metrics.rmse desc", "created", "epoch desc", "rows",
                                         "metrics.mae desc, rows", "created desc, metrics.rmse"});
    request.limit = static_cast<std::uint32_t>(one_of<std::size_t>({3, 17, 4000}));
    auto versions = found(request);
    std::ranges::sort(versions);
    EXPECT_EQ(versions.size(), wanted.size()) << filter << " order " << request.order << " by " << request.limit;
    EXPECT_TRUE(versions == wanted) << filter << " order " << request.order << " by " << request.limit;
  }
  EXPECT_GT(matches, 500u);
}

}  // namespace
}  // namespace espalier::registry
