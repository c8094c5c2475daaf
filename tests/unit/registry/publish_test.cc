// What publishing and moving refuse, and that a refusal changes nothing.
#include "registry/publish.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

using model::FieldType;
using model::Task;

class PublishTest : public RegistryFixture {
 protected:
  PublishTest() {
    EXPECT_OK(publish(1, {{{}, 1}, {{"usa"}, 2}, {{"usa", "ca"}, 3}}));
    before_ = state();
  }
  /// As acme/total is for another tenant: the same UUIDs and artefacts must mean nothing to acme.
  void publish_for_another_tenant() {
    Proposal proposal = propose(50, {{{}, 50, 50}});
    proposal.request.tenant = "zeta";
    upload(small_artefact(50), "zeta");
    upload(small_artefact(51), "zeta");
    ASSERT_OK(publish(proposal));
  }
  std::string before_;
};

TEST_F(PublishTest, RefusesWhatDoesNotFit) {
  publish_for_another_tenant();
  const Hash256 reads_sex = upload(small_artefact(0, {{"age", FieldType::number}, {"sex", FieldType::text}}));
  const Hash256 reads_age_as_text = upload(small_artefact(0, {{"age", FieldType::text}}));
  const Hash256 binary = upload(binary_artefact());
  struct Row {
    const char* name;
    std::function<void(Proposal&)> change;
    Code code;
    const char* says;
  };
  const std::vector<Row> table = {
      {"tenant", [](auto& p) { p.request.tenant = "A"; }, Code::invalid_argument, "tenant \"A\""},
      {"model", [](auto& p) { p.request.model = ""; }, Code::invalid_argument, "model \"\""},
      {"tag", [](auto& p) { p.request.tag = "a/b"; }, Code::invalid_argument, "tag \"a/b\""},
      {"idem", [](auto& p) { p.request.idem = {}; }, Code::invalid_argument, "idem"},
      {"release nil", [](auto& p) { p.request.release = {}; }, Code::invalid_argument, "release"},
      {"release taken", [](auto& p) { p.request.release = uuid('r', 1); }, Code::already_exists, "release"},
      {"no spec", [](auto& p) { p.request.spec_json = ""; }, Code::invalid_argument, "spec_json"},
      {"bad spec", [](auto& p) { p.request.spec_json = "{\"model\": 3}"; }, Code::invalid_argument, "spec_json"},
      {"another model's spec",
       [](auto& p) {
         p.request.spec_json = spec_json("other", {"country", "state"});
       },
       Code::invalid_argument, "spec_json: the spec is of model other"},
      {"another task",
       [](auto& p) {
         p.request.spec_json = spec_json("total", {"country", "state"}, Task::binary);
       },
       Code::failed_precondition, "task binary"},
      {"levels changed",
       [](auto& p) {
         p.request.spec_json = spec_json("total", {"continent", "state"});
       },
       Code::failed_precondition, "levels can only be appended"},
      {"long spec", [](auto& p) { p.request.spec_json.assign(kMaxSpecBytes + 1, ' '); }, Code::invalid_argument,
       "spec_json: 1048577 bytes"},
      {"run", [](auto& p) { p.request.run_json = "[1]"; }, Code::invalid_argument, "run_json: a JSON object"},
      {"field retyped",
       [](auto& p) {
         p.request.fields = {{"age", FieldType::text}};
       },
       Code::failed_precondition, "fields[0].type: age is a number"},
      {"field twice",
       [](auto& p) {
         p.request.fields.push_back({"age", FieldType::number});
       },
       Code::invalid_argument, "fields[1].name: age is named twice"},
      {"field unnamed",
       [](auto& p) {
         p.request.fields.push_back({"", FieldType::number});
       },
       Code::invalid_argument, "fields[1].name: empty"},
      {"no versions", [](auto& p) { p.versions.clear(); }, Code::invalid_argument, "versions"},
      {"too deep",
       [](auto& p) {
         p.versions[1].partition = {"usa", "ca", "fresno"};
       },
       Code::invalid_argument, "versions[1]: partition: 3 values, the model has 2 levels"},
      {"transparent",
       [](auto& p) {
         p.versions[1].partition = {"usa", ""};
       },
       Code::invalid_argument, "versions[1]: partition: ends in an empty value"},
      {"bad UTF-8", [](auto& p) { p.versions[1].partition = {"\xFF"}; }, Code::invalid_argument, "not UTF-8"},
      {"node twice", [](auto& p) { p.versions[1].partition = {}; }, Code::invalid_argument,
       "versions[1]: partition: named twice"},
      {"version nil", [](auto& p) { p.versions[0].version = {}; }, Code::invalid_argument, "versions[0]: version"},
      {"version twice", [](auto& p) { p.versions[1].version = p.versions[0].version; }, Code::invalid_argument,
       "comes twice"},
      {"version known with other content", [](auto& p) { p.versions[1].version = uuid('v', 1); }, Code::already_exists,
       "versions[1]: version"},
      {"artefact missing", [](auto& p) { p.versions[1].artefact = blake2b_256("x"); }, Code::not_found,
       "versions[1]: artefact"},
      {"artefact foreign", [](auto& p) { p.versions[1].artefact = blake2b_256(small_artefact(51)); }, Code::not_found,
       "versions[1]: artefact"},
      {"artefact of another task", [&](auto& p) { p.versions[0].artefact = binary; }, Code::invalid_argument,
       "artefact: its task is binary"},
      {"field not in the schema", [&](auto& p) { p.versions[0].artefact = reads_sex; }, Code::invalid_argument,
       "reads the field sex, which"},
      {"field of another type", [&](auto& p) { p.versions[0].artefact = reads_age_as_text; }, Code::invalid_argument,
       "reads the field age as a text"},
      {"another base", [](auto& p) { p.versions[0].base = blake2b_256("x"); }, Code::invalid_argument, "base"},
      {"another spec's hash", [](auto& p) { p.versions[0].spec = blake2b_256("x"); }, Code::invalid_argument, "spec"},
      {"parent missing", [](auto& p) { p.versions[1].parent = uuid('v', 77); }, Code::not_found,
       "versions[1].parent: version"},
      {"parent foreign", [](auto& p) { p.versions[1].parent = uuid('v', 50); }, Code::not_found,
       "versions[1].parent: version"},
      {"its own parent", [](auto& p) { p.versions[1].parent = p.versions[1].version; }, Code::invalid_argument,
       "versions[1].parent: the version itself"},
      {"metrics", [](auto& p) { p.versions[0].metrics_json = "{"; }, Code::invalid_argument, "metrics_json"},
      {"lineage", [](auto& p) { p.versions[0].lineage_json = std::string(kMaxVersionTextBytes + 1, ' '); },
       Code::invalid_argument, "lineage_json"},
  };
  std::uint32_t release = 100;
  for (const Row& row : table) {
    Proposal proposal = propose(++release, {{{}, release * 2}, {{"usa"}, release * 2 + 1}});
    row.change(proposal);
    const auto reply = publish(proposal);
    EXPECT_CODE(reply, row.code) << row.name;
    EXPECT_NE(reply.status().message().find(row.says), std::string::npos) << row.name << ": " << reply.status().text();
    EXPECT_EQ(state(), before_) << row.name;
  }
  ASSERT_OK(publish(200, {{{}, 500}, {{"usa"}, 501}}));
}

TEST_F(PublishTest, AForeignThingAndAMissingOneAreTheSame) {
  publish_for_another_tenant();
  const auto why = [&](auto change) {
    Proposal proposal = propose(9, {{{}, 90}});
    change(proposal.versions[0]);
    return publish(proposal).status().text();
  };
  const auto artefact = [&](const Hash256& hash) {
    std::string text = why([&](auto& version) { version.artefact = hash; });
    return text.substr(0, text.find("artefact") + 8);
  };
  EXPECT_EQ(artefact(blake2b_256(small_artefact(51))), artefact(blake2b_256("nothing has this hash")));
  Registry::Bodies bodies;
  ASSERT_OK_AND_ASSIGN(const auto fetched,
                       registry_->fetch(local_, {"acme", {blake2b_256(small_artefact(51))}}, bodies));
  EXPECT_EQ(fetched.missing.size(), 1u);
  EXPECT_EQ(roll_back(10, 50).status().text(), "not_found: release " + uuid('r', 50).text());
  EXPECT_EQ(roll_back(10, 51).status().text(), "not_found: release " + uuid('r', 51).text());
}

TEST_F(PublishTest, ABodyThatDoesNotDecodeIsNamed) {
  const Proposal proposal = propose(2, {{{}, 9}});
  const std::string good = wire::encode_array(proposal.versions);
  for (const std::string& bad :
       {std::string("\xc1"), good.substr(0, good.size() - 1), std::string("\x93\x01\x02\x03")}) {
    const auto reply = registry_->publish(local_, proposal.request, {good, bad});
    EXPECT_CODE(reply, Code::invalid_argument);
    EXPECT_TRUE(reply.status().message().starts_with("body 1")) << reply.status().text();
  }
  EXPECT_EQ(state(), before_);
}

TEST_F(PublishTest, AVersionMayBeReleasedAgainAsItIs) {
  ASSERT_OK(publish(2, {{{}, 1}, {{"usa"}, 2}}));
  EXPECT_EQ(state(), "/=1 usa=2");
  ASSERT_OK_AND_ASSIGN(const auto versions, registry_->versions(local_, of_total<wire::VersionsRequest>()));
  EXPECT_EQ(versions.versions.size(), 3u);
  EXPECT_EQ(versions.versions[0].release, uuid('r', 1));
}

TEST_F(PublishTest, OnlyWhoMayPublishDoes) {
  const Proposal proposal = propose(2, {{{}, 9}});
  Principal reader("reader");
  reader.grant("acme", {.read = true}).grant("zeta", {.publish = true});
  EXPECT_CODE(registry_->publish(reader, proposal.request, {}), Code::permission_denied);
  EXPECT_CODE(registry_->upload(reader, {"acme", {}}, {}), Code::permission_denied);
  EXPECT_CODE(registry_->view(reader, {}), Code::permission_denied);
  EXPECT_CODE(registry_->feed(reader, {}), Code::permission_denied);
  EXPECT_CODE(registry_->changed_entries(reader, {}), Code::permission_denied);
  EXPECT_CODE(registry_->join(reader, {}), Code::permission_denied);
  EXPECT_OK(registry_->models(reader, of_total<wire::ModelsRequest>()));
}

TEST_F(PublishTest, MovingRefusesWhatDoesNotFit) {
  publish_for_another_tenant();
  const auto entry = [](const Path& partition, wire::EntryKind kind, const Uuid& version) {
    wire::TagEntry entry;
    entry.partition = partition;
    entry.kind = kind;
    entry.version = version;
    return entry;
  };
  using enum wire::EntryKind;
  struct Row {
    const char* name;
    std::vector<wire::TagEntry> entries;
    Code code;
    const char* says;
  };
  const std::vector<Row> table = {
      {"nothing", {}, Code::invalid_argument, "at least one"},
      {"no such version", {entry({}, version, uuid('v', 70))}, Code::not_found, "entries[0]: version"},
      {"foreign version", {entry({}, version, uuid('v', 50))}, Code::not_found, "entries[0]: version"},
      {"another node's", {entry({"usa"}, version, uuid('v', 1))}, Code::invalid_argument, "another node"},
      {"too deep", {entry({"a", "b", "c"}, removed, {})}, Code::invalid_argument, "3 values"},
      {"twice", {entry({}, removed, {}), entry({}, unset, {})}, Code::invalid_argument, "entries[1]: partition: named"},
      {"removed with version", {entry({}, removed, uuid('v', 1))}, Code::invalid_argument, "only an entry"},
  };
  std::uint32_t release = 100;
  for (const Row& row : table) {
    const auto reply = move(++release, row.entries);
    EXPECT_CODE(reply, row.code) << row.name;
    EXPECT_NE(reply.status().message().find(row.says), std::string::npos) << row.name << ": " << reply.status().text();
    EXPECT_EQ(state(), before_);
  }
}

TEST_F(PublishTest, UploadsAreCheckedWholeBeforeAnythingIsStored) {
  const std::string good = small_artefact(77);
  std::string flipped = small_artefact(78);
  flipped[flipped.size() / 2] ^= 1;
  struct Row {
    const char* name;
    std::vector<Hash256> hashes;
    Registry::Bodies bodies;
    Code code;
  };
  const std::vector<Row> table = {
      {"no body", {blake2b_256(good)}, {}, Code::invalid_argument},
      {"a body too many", {}, {good}, Code::invalid_argument},
      {"another hash", {blake2b_256(good), Hash256{}}, {good, good}, Code::invalid_argument},
      {"damaged", {blake2b_256(good), blake2b_256(flipped)}, {good, flipped}, Code::corrupt},
      {"no artefact", {blake2b_256(good), blake2b_256("")}, {good, ""}, Code::corrupt},
  };
  for (const Row& row : table) {
    EXPECT_CODE(registry_->upload(local_, {"acme", row.hashes}, row.bodies), row.code) << row.name;
    Registry::Bodies bodies;
    ASSERT_OK_AND_ASSIGN(const auto fetched, registry_->fetch(local_, {"acme", {blake2b_256(good)}}, bodies));
    EXPECT_TRUE(fetched.found.empty()) << row.name;
  }
  ASSERT_OK_AND_ASSIGN(const auto first, registry_->upload(local_, {"acme", {blake2b_256(good)}}, {good}));
  EXPECT_EQ(first.stored, 1u);
  ASSERT_OK_AND_ASSIGN(const auto again, registry_->upload(local_, {"acme", {blake2b_256(good)}}, {good}));
  EXPECT_EQ(again.known, 1u);
}

TEST_F(PublishTest, ADamagedArtefactIsNotGivenOutAndIsMendedByUploadingItAgain) {
  const std::string good = small_artefact(77);
  const Hash256 hash = upload(good);
  bool has_flipped = false;
  for (const auto& file : std::filesystem::recursive_directory_iterator(folder_.path())) {
    if (!file.is_regular_file()) continue;
    std::fstream bytes(file.path(), std::ios::binary | std::ios::in | std::ios::out);
    std::string content((std::istreambuf_iterator<char>(bytes)), {});
    const std::size_t at = content.find(good);
    if (at == std::string::npos) continue;
    bytes.clear();
    bytes.seekp(static_cast<std::streamoff>(at + good.size() / 2));
    bytes.put(static_cast<char>(good[good.size() / 2] ^ 1));
    has_flipped = true;
  }
  ASSERT_TRUE(has_flipped);
  Registry::Bodies bodies;
  ASSERT_OK_AND_ASSIGN(const auto refused, registry_->fetch(local_, {"acme", {hash}}, bodies));
  EXPECT_EQ(refused.missing.size(), 1u);
  EXPECT_TRUE(bodies.empty());
  ASSERT_OK_AND_ASSIGN(const auto again, registry_->upload(local_, {"acme", {hash}}, {good}));
  EXPECT_EQ(again.stored, 1u);
  ASSERT_OK_AND_ASSIGN(const auto found, registry_->fetch(local_, {"acme", {hash}}, bodies));
  EXPECT_EQ(found.found.size(), 1u);
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_EQ(bodies[0], good);
}

TEST_F(PublishTest, FetchGivesWhatFitsAndSaysHowFarItCame) {
  wire::FetchRequest request;
  request.tenant = "acme";
  for (int i = 0; i < 4; ++i) request.artefacts.push_back(upload(small_artefact(static_cast<float>(i + 30))));
  request.max_bytes = 1;
  std::size_t answered = 0;
  while (!request.artefacts.empty()) {
    Registry::Bodies bodies;
    ASSERT_OK_AND_ASSIGN(const auto reply, registry_->fetch(local_, request, bodies));
    ASSERT_EQ(bodies.size(), 1u);
    ASSERT_EQ(reply.answered, 1u);
    EXPECT_EQ(blake2b_256(bodies[0]), request.artefacts[0]);
    request.artefacts.erase(request.artefacts.begin());
    ++answered;
  }
  EXPECT_EQ(answered, 4u);
}

}  // namespace
}  // namespace espalier::registry
