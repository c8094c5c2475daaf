// Properties and descriptions of versions: kept, bounded, found, indexed.
#include <set>

#include "model/properties.h"
#include "registry/search/rebuild.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

class PropertiesTest : public RegistryFixture {
 protected:
  Proposal described(std::uint32_t release, const model::Properties& properties, const std::string& description = {}) {
    Proposal proposal = propose(release, {{{}, release * 2}, {{"usa"}, release * 2 + 1}});
    for (auto& version : proposal.versions) {
      version.properties = properties;
      version.description = description;
    }
    return proposal;
  }

  Result<wire::SearchReply> search(const std::string& where) {
    wire::SearchRequest request;
    request.kind = "versions";
    request.where = where;
    return registry_->search(local_, request);
  }
  /// Of the releases whose versions one page has.
  std::string first_page(const std::string& where) {
    const auto reply = search(where);
    EXPECT_OK(reply);
    std::set<Uuid> found;
    if (!reply.ok()) return "?";
    for (const auto& row : reply->rows) found.insert(wire::decode<wire::VersionRecord>(row.record)->release);
    std::string text;
    for (std::uint32_t release = 1; release < 400; ++release) {
      if (found.contains(uuid('r', release))) text += (text.empty() ? "" : " ") + std::to_string(release);
    }
    return text;
  }
};

TEST_F(PropertiesTest, AreKeptAndFound) {
  ASSERT_OK(publish(described(1, {{"owner", "eta"}, {"cost centre", "12"}}, "weekly")));
  ASSERT_OK(publish(described(2, {{"owner", "beta"}, {"empty", ""}})));
  ASSERT_OK(publish(described(3, {})));
  Proposal mixed = described(4, {{"owner", "eta"}});
  mixed.versions[1].properties = {{"owner", "theta"}};
  ASSERT_OK(publish(mixed));
  wire::VersionsRequest request = of_total<wire::VersionsRequest>();
  request.version = uuid('v', 2);
  ASSERT_OK_AND_ASSIGN(const auto kept, registry_->versions(local_, request));
  EXPECT_EQ(kept.versions.at(0).properties.at("cost centre"), "12");
  EXPECT_EQ(kept.versions.at(0).description, "weekly");
  struct Case {
    std::string where, releases;
  };
  for (const Case& c : std::vector<Case>{
           {"properties.owner = 'eta'", "1 4"},
           {"properties.owner = 'eta' and partition = 'usa'", "1"},
           {"properties.owner = 'theta'", "4"},
           {"properties.owner != 'eta'", "2 3 4"},
           {"properties.owner in ('beta', 'theta')", "2 4"},
           {"properties.owner like '%ta'", "1 2 4"},
           {"properties.owner is missing", "3"},
           {"properties.empty = ''", "2"},
           {"not properties.empty is missing", "2"},
           {"\"properties.cost centre\" = '12'", "1"},
           {"properties.OWNER = 'eta'", ""},
           {"description = 'weekly'", "1"},
           {"description like 'week%'", "1"},
           {"description is missing", "2 3 4"},
       }) {
    EXPECT_EQ(first_page(c.where), c.releases) << c.where;
  }
  EXPECT_CODE(search("properties.owner = 5"), Code::invalid_argument);
  EXPECT_CODE(search("properties = 'eta'"), Code::invalid_argument);
}

TEST_F(PropertiesTest, AreFoundFromTheIndex) {
  for (std::uint32_t release = 1; release <= 100; ++release) {
    ASSERT_OK(publish(described(release, {{"owner", release == 90 ? "eta" : "beta"}, {"long", std::string(257, 'x')}},
                                release == 90 ? "rare" : "")));
  }
  RegistryOptions options;
  options.search_work = 20;
  registry_.reset();
  ASSERT_OK_AND_ASSIGN(registry_, Registry::open(files_, clock_, folder_.path(), options));
  EXPECT_EQ(first_page("properties.owner = 'eta'"), "90");
  EXPECT_EQ(first_page("description = 'rare'"), "") << "looked for record by record: not on the first page";
}

TEST_F(PropertiesTest, TheIndexIsMadeAnewAsItWasWritten) {
  ASSERT_OK(publish(described(1, {{"owner", "eta"}, {"long", std::string(257, 'x')}})));
  wire::CheckRequest request{uuid('c', 1), 0};
  for (bool done = false; !done; ++request.step) {
    ASSERT_OK_AND_ASSIGN(const auto reply, registry_->check(local_, request));
    EXPECT_EQ(reply.findings.size(), 0u);
    done = reply.done;
  }
}

TEST_F(PropertiesTest, WrongOnesChangeNothing) {
  ASSERT_OK(publish(described(1, {{"owner", "eta"}})));
  const std::string before = state();
  struct Row {
    model::Properties properties;
    std::string description, says;
  };
  model::Properties many;
  for (std::size_t i = 0; i <= model::kMaxProperties; ++i) many["k" + std::to_string(i)] = "v";
  for (const Row& row : std::vector<Row>{
           {{{"", "x"}}, "", "versions[0]: properties: a key is empty"},
           {{{"a\nb", "x"}}, "", "a key holds a control character"},
           {{{"k", std::string(1025, 'v')}}, "", "properties.k: 1025 bytes, at most 1024"},
           {many, "", "65 of them"},
           {{}, std::string(4097, 'd'), "versions[0]: description: 4097 bytes, at most 4096"},
           {{{"k", "\xFF"}}, "", "not"},
       }) {
    const auto reply = publish(described(2, row.properties, row.description));
    EXPECT_CODE(reply, Code::invalid_argument) << row.says;
    EXPECT_NE(reply.status().message().find(row.says), std::string::npos) << reply.status().text();
    EXPECT_EQ(state(), before);
  }
}

TEST_F(PropertiesTest, AVersionWithOtherPropertiesIsAnother) {
  Proposal proposal = described(1, {{"owner", "eta"}});
  ASSERT_OK(publish(proposal));
  proposal.request.idem = uuid('i', 900);
  proposal.request.release = uuid('r', 900);
  ASSERT_OK(publish(proposal));
  proposal.request.idem = uuid('i', 901);
  proposal.request.release = uuid('r', 901);
  proposal.versions[0].properties["owner"] = "beta";
  EXPECT_CODE(publish(proposal), Code::already_exists);
}

}  // namespace
}  // namespace espalier::registry
