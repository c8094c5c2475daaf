// A check finds each kind of damage, under the key of what is damaged, and nothing else; and a sound registry clean.
#include <filesystem>
#include <fstream>
#include <set>

#include "registry/keys.h"
#include "registry/upkeep/check.h"
#include "registry/upkeep/stopped.h"
#include "registry/upkeep/upkeep.h"
#include "tests/unit/registry/raw_store.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

using upkeep::Check;

class CheckTest : public RegistryFixture {
 protected:
  /// Every kind of record.
  void fill() {
    ASSERT_OK(publish(1, {{{}, 1, 1}, {{"usa"}, 2, 2}, {{"usa", "ca"}, 3, 3}}));
    Proposal child = propose(2, {{{"usa"}, 4, 4}, {{"br"}, 5, 5}});
    child.versions[1].parent = uuid('v', 1);
    child.versions[0].lineage_json = R"({"run": "R17"})";
    child.request.replace = false;
    ASSERT_OK(publish(child));
    wire::TagEntry removed;
    removed.partition = {"usa"};
    removed.kind = wire::EntryKind::removed;
    ASSERT_OK(move(3, {removed}, "next"));
    ASSERT_OK(roll_back(4, 1));
    ASSERT_OK(join("s0", 1));
    ASSERT_OK(publish(5, {{{}, 6, 6}}));
    wire::PromoteRequest promote = of_total<wire::PromoteRequest>();
    promote.idem = uuid('i', 6);
    promote.from = "production";
    promote.to = "next";
    promote.release = uuid('r', 6);
    promote.from_release = uuid('r', 7);
    promote.archive = "archived";
    promote.archive_release = uuid('r', 8);
    ASSERT_OK(registry_->promote(local_, promote));
    wire::OverlayRequest overlay = of_total<wire::OverlayRequest>();
    overlay.idem = uuid('i', 7);
    overlay.tag = "next";
    overlay.on = "production";
    ASSERT_OK(registry_->overlay(local_, overlay));
  }

  /// "T acme/total@usa tag production epoch 3" of each finding, of the registry closed.
  std::vector<std::string> findings() {
    registry_.reset();
    const auto stopped = upkeep::open_stopped(files_, clock_, folder_.path());
    EXPECT_OK(stopped);
    if (!stopped.ok()) return {};
    return findings(*stopped->records);
  }
  std::vector<std::string> findings(Records& records) {
    const auto check = Check::start(records);
    EXPECT_OK(check);
    EXPECT_OK((*check)->run_to_the_end(clock_));
    std::vector<std::string> texts;
    for (const auto& finding : (*check)->findings().take()) {
      texts.push_back(finding.table + " " + finding.key);
      EXPECT_FALSE(finding.what.empty());
      last_what_ = finding.what;
    }
    EXPECT_EQ(texts.size(), (*check)->findings().count());
    return texts;
  }

  std::string last_what_;
};

std::string name_of(const std::string& key) { return key.substr(0, 1) + " " + upkeep::readable(key); }

/// What can't be told from the rest when it is gone.
bool is_unseen(const std::string& key, const std::string& value) {
  // A state of a model before the last, which names all tags.
  return key[0] == 'M' && wire::decode<wire::ModelRecord>(value)->overlays.empty();
}

TEST_F(CheckTest, FindsNothingInASoundRegistry) {
  EXPECT_EQ(findings(), std::vector<std::string>());
  open();
  fill();
  EXPECT_EQ(findings(), std::vector<std::string>());
}

TEST_F(CheckTest, FindsEachRecordThatIsMissing) {
  fill();
  registry_.reset();
  std::map<std::string, std::string> records = RawStore(folder_.path()).all();
  std::set<char> tables;
  for (const auto& [key, value] : records) {
    RawStore(folder_.path()).remove(key);
    tables.insert(key[0]);
    const auto found = findings();
    if (is_unseen(key, value)) {
      EXPECT_EQ(found, std::vector<std::string>()) << name_of(key);
    } else {
      EXPECT_EQ(found, std::vector<std::string>{name_of(key)});
    }
    RawStore(folder_.path()).put(key, value);
  }
  EXPECT_EQ(tables.size(), 19u);
  EXPECT_EQ(findings(), std::vector<std::string>());
}

TEST_F(CheckTest, FindsAModelWithoutRecord) {
  ASSERT_OK(publish(1, {{{}, 1}}));
  registry_.reset();
  for (const auto& [key, value] : RawStore(folder_.path()).all()) {
    if (key[0] == 'M') RawStore(folder_.path()).remove(key);
  }
  EXPECT_EQ(findings(), std::vector<std::string>{"M acme/total"});
}

TEST_F(CheckTest, FindsEachRecordThatDoesNotDecode) {
  fill();
  registry_.reset();
  for (const auto& [key, value] : RawStore(folder_.path()).all()) {
    // A part of it; of nothing, something.
    RawStore(folder_.path())
        .put(key, value.empty() ? "x" : value.substr(0, std::min<std::size_t>(value.size() / 2, 15)));
    EXPECT_EQ(findings(), std::vector<std::string>{name_of(key)});
    RawStore(folder_.path()).put(key, value);
  }
}

TEST_F(CheckTest, FindsRecordsThatDisagree) {
  fill();
  registry_.reset();
  const auto records = RawStore(folder_.path()).all();
  const auto first = [&](const std::string& start) { return records.lower_bound(start)->first; };
  const auto first_version = wire::decode<wire::VersionRecord>(records.at(first("V")));
  ASSERT_OK(first_version);
  wire::VersionRecord other_artefact = *first_version;
  other_artefact.artefact_bytes += 1;
  wire::VersionRecord other_release = *first_version;
  other_release.release = uuid('r', 77);
  wire::VersionRecord other_parent = *first_version;
  other_parent.parent = uuid('v', 77);
  wire::ReleaseRecord moved = *wire::decode<wire::ReleaseRecord>(records.at(first("R")));
  moved.moved += 1;
  const std::string tag = first("T");
  std::string other_version = records.at(tag);
  other_version[5] = 'x';
  std::string number = records.lower_bound("X")->first;
  for (const auto& [key, value] : records) {
    if (upkeep::readable(key).find(" rmse=") != std::string::npos) number = key;
  }
  std::string other_number = number;
  other_number[number.size() - 16 - 8 - 5] ^= 1;

  const std::vector<std::tuple<std::string, std::string, std::string>> cases{
      {first("V"), wire::encode(other_artefact), "another base or size"},
      {first("V"), wire::encode(other_release), "which is not there"},
      {first("V"), wire::encode(other_parent), "its parent"},
      {first("R"), wire::encode(moved), "its tag holds"},
      {tag, other_version, "which is not there"},
      {other_number, records.at(number), "has another rmse"},
      {"y", "", "doesn't know"},
      {"\xFFx", "", "doesn't know"},
  };
  for (const auto& [key, value, what] : cases) {
    RawStore(folder_.path()).put(key, value);
    EXPECT_EQ(findings(), std::vector<std::string>{name_of(key)});
    EXPECT_NE(last_what_.find(what), std::string::npos) << last_what_;
    if (records.contains(key)) {
      RawStore(folder_.path()).put(key, records.at(key));
    } else {
      RawStore(folder_.path()).remove(key);
    }
  }
}

TEST_F(CheckTest, FindsFlippedBitsInAPack) {
  fill();
  registry_.reset();
  const std::string segment = folder_.path() + "/artefacts/acme/segment-00000001.pack";
  const Hash256 hash = blake2b_256(small_artefact(3));
  std::string bytes = *Files::system().read(segment);
  const std::size_t at = bytes.find(small_artefact(3));
  ASSERT_NE(at, std::string::npos);
  std::filesystem::permissions(segment, std::filesystem::perms::owner_all);
  const auto flip = [&](std::size_t place) {
    bytes[place] ^= 4;
    std::ofstream(segment, std::ios::binary) << bytes;
  };
  flip(at + 100);
  EXPECT_EQ(findings(), std::vector<std::string>{"pack acme " + hash.hex()});
  flip(at + 100);
  EXPECT_EQ(findings(), std::vector<std::string>());
  // The frame's header: what follows in that segment can't be found either.
  flip(at - 64 + 20);
  const auto found = findings();
  EXPECT_EQ(found.size(), 4u);
  EXPECT_NE(std::ranges::find(found, "pack acme " + hash.hex()), found.end());
  for (const std::string& text : found) EXPECT_TRUE(text.starts_with("pack acme ")) << text;
}

TEST_F(CheckTest, FindsWhatLevelDbCannotRead) {
  fill();
  registry_.reset();
  { const RawStore opened(folder_.path()); }  // which writes the log into a table
  int tables = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() + "/store")) {
    if (entry.path().extension() != ".ldb") continue;
    ++tables;
    std::string bytes = *Files::system().read(entry.path());
    bytes[100] ^= 1;
    std::ofstream(entry.path(), std::ios::binary) << bytes;
  }
  ASSERT_GT(tables, 0);
  const auto found = findings();
  ASSERT_FALSE(found.empty());
  EXPECT_TRUE(std::ranges::any_of(found, [](const auto& text) { return text.starts_with("store "); }));
}

TEST_F(CheckTest, GoesByBlocksOfManyVersions) {
  std::vector<Node> nodes;
  for (std::uint32_t i = 0; i < 700; ++i) nodes.push_back({{"usa", std::to_string(i)}, 1000 + i});
  ASSERT_OK(publish(1, nodes));
  registry_.reset();
  EXPECT_EQ(findings(), std::vector<std::string>());
  for (const auto& [key, value] : RawStore(folder_.path()).all()) {
    if (key[0] != 'C' && !(key[0] == 'X' && value.size() > 1000)) continue;
    RawStore(folder_.path()).remove(key);
    EXPECT_EQ(findings(), std::vector<std::string>{name_of(key)});
    RawStore(folder_.path()).put(key, value);
  }
}

TEST_F(CheckTest, NeedsARegistryThere) {
  EXPECT_CODE(upkeep::open_stopped(files_, clock_, folder_ / "nothing"), Code::not_found);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "nothing"));
  EXPECT_CODE(upkeep::open_stopped(files_, clock_, folder_.path()), Code::unavailable);  // it is open
}

// ----------------------------------------------------------------------------------------------- in a running registry

TEST_F(CheckTest, IsAskedForInStepsWhileOthersWrite) {
  fill();
  wire::CheckRequest request;
  request.session = uuid('s', 1);
  std::uint64_t records = 0;
  const std::uint64_t last = registry_->hello(local_, {})->epoch;
  for (;; ++request.step) {
    ASSERT_LT(request.step, 10'000u);
    ASSERT_OK_AND_ASSIGN(const wire::CheckReply reply, registry_->check(local_, request));
    ASSERT_OK_AND_ASSIGN(const wire::CheckReply again, registry_->check(local_, request));
    EXPECT_EQ(wire::encode(again), wire::encode(reply));
    EXPECT_EQ(reply.found, 0u);
    EXPECT_LE(reply.epoch, last);
    records = reply.records;
    if (reply.done) break;
    ASSERT_OK(publish(100 + request.step, {{{}, 100 + request.step}}));
  }
  EXPECT_GT(records, 100u);
  EXPECT_GT(request.step, 5u);
  ++request.step;
  EXPECT_CODE(registry_->check(local_, request), Code::failed_precondition);
}

TEST_F(CheckTest, RefusesStepsOutOfTurnAndTooManySessions) {
  fill();
  const auto step = [&](std::uint32_t session, std::uint32_t number) {
    wire::CheckRequest request;
    request.session = session == 0 ? Uuid() : uuid('s', session);
    request.step = number;
    return registry_->check(local_, request);
  };
  EXPECT_CODE(step(0, 0), Code::invalid_argument);
  EXPECT_CODE(step(1, 1), Code::failed_precondition);
  ASSERT_OK(step(1, 0));
  EXPECT_CODE(step(1, 2), Code::invalid_argument);
  ASSERT_OK(step(2, 0));
  EXPECT_CODE(step(3, 0), Code::overloaded);
  ASSERT_OK(step(1, 1));
  clock_.advance(upkeep::Upkeep::kIdleUs + 1);
  ASSERT_OK(step(3, 0));
  EXPECT_CODE(step(1, 2), Code::failed_precondition);
  // What a session that began beside a failed write has seen may not be on the disk.
  const Proposal failing = propose(50, {{{}, 50}});
  env_.fail_next_sync();
  EXPECT_FALSE(publish(failing).ok());
  EXPECT_CODE(step(3, 1), Code::failed_precondition);
  ASSERT_OK(publish(51, {{{}, 51}}));
  ASSERT_OK(step(4, 0));
  EXPECT_CODE(registry_->check(Principal("eve").grant("acme", {true, true, true}), {uuid('s', 1), 0}),
              Code::permission_denied);
}

}  // namespace
}  // namespace espalier::registry
