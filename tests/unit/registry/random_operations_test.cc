// Thousands of random operations against a model in memory, in groups, with crashes and failures between any two calls
// to the disk. After each start: nothing acknowledged is missing, nothing half-done is visible, and a change that is
// sent again is applied once.
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "tests/support/sanitized.h"
#include "tests/unit/registry/audited_releases.h"
#include "tests/unit/registry/files_env.h"
#include "tests/unit/registry/registry_fixture.h"

namespace espalier::registry {
namespace {

constexpr int kLives = testing::kIsSanitized ? 6 : 60;
constexpr int kRounds = testing::kIsSanitized ? 20 : 100;
/// One in so many artefacts is fetched, and past states read, each time.
constexpr std::uint32_t kDrawn = 16;

/// What a tag says of nodes: "7" (a version's number) or "removed".
using TagState = std::map<Path, std::string>;

std::string line(const TagState& state) {
  std::string text;
  for (const auto& [partition, entry] : state) {
    std::string path;
    for (const auto& value : partition) path += (path.empty() ? "" : "/") + value;
    text += (text.empty() ? "" : " ") + (path.empty() ? "/" : path) + "=" + entry;
  }
  return text;
}

/// The registry as it should be.
struct Model {
  struct Release {
    std::string tag;
    TagState state;        ///< that it left
    bool is_known = true;  ///< what was read: `state` was read too
  };
  std::map<std::string, TagState> tags;
  std::map<std::uint32_t, Release> releases;
  std::map<std::uint32_t, Path> versions;  ///< by number: the node
  std::set<std::string> others;            ///< tenants beside acme

  bool operator==(const Model& other) const {
    return tags == other.tags && versions == other.versions && others == other.others &&
           releases.size() == other.releases.size();
  }
};

struct Operation {
  enum class Kind { publish, move, roll_back, add_other, erase_other } kind;
  std::uint32_t release;
  std::string tag;
  std::vector<Node> nodes;                       ///< publish
  bool replace = true;                           ///< publish
  std::vector<std::pair<Path, std::string>> to;  ///< move: entries, also "unset"
  std::uint32_t from = 0;                        ///< roll_back
  std::string other;                             ///< add_other, erase_other: the tenant
};

void apply(Model& model, const Operation& operation) {
  if (operation.kind == Operation::Kind::add_other) return static_cast<void>(model.others.insert(operation.other));
  if (operation.kind == Operation::Kind::erase_other) return static_cast<void>(model.others.erase(operation.other));
  TagState& state = model.tags[operation.tag];
  if (operation.kind == Operation::Kind::publish) {
    if (operation.replace) state.clear();
    for (const Node& node : operation.nodes) {
      state[node.partition] = std::to_string(node.version);
      model.versions[node.version] = node.partition;
    }
  } else if (operation.kind == Operation::Kind::move) {
    for (const auto& [partition, entry] : operation.to) {
      if (entry == "unset") {
        state.erase(partition);
      } else {
        state[partition] = entry;
      }
    }
  } else {
    state = TagState(model.releases.at(operation.from).state);
  }
  model.releases[operation.release] = {operation.tag, state};
}

const std::vector<Path>& nodes() {
  static const std::vector<Path> all = {{}, {"br"}, {"br", "rj"}, {"br", "sp"}, {"peru"}, {"usa"}, {"usa", "ca"}};
  return all;
}

class RandomOperations : public RegistryFixture {
 protected:
  RandomOperations() {
    reopen();
    // Far beyond what comes: it is counted, and refuses nothing.
    EXPECT_OK(registry_->set_quota(local_, {uuid('u', 1), "acme", {100, 1'000'000, 1'000'000'000}}));
  }
  ~RandomOperations() override { registry_.reset(); }  // before its env

  void reopen() {
    registry_.reset();
    RegistryOptions options;
    options.store.env = &files_env_;
    auto opened = Registry::open(files_, clock_, folder_.path(), options);
    ASSERT_OK(opened);
    registry_ = *std::move(opened);
  }

  std::uint32_t draw(std::size_t below) { return chance_() % static_cast<std::uint32_t>(below); }

  Operation draw_operation(const Model& model) {
    Operation operation;
    operation.release = ++releases_;
    if (draw(40) == 0) return draw_for_others(std::move(operation), model);
    operation.tag = draw(3) == 0 ? "canary" : "production";
    const std::uint32_t kind = model.releases.empty() ? 0 : draw(4);
    if (kind == 3 && !model.releases.empty()) {
      operation.kind = Operation::Kind::roll_back;
      operation.from = std::next(model.releases.begin(), draw(model.releases.size()))->first;
    } else if (kind == 2 && !model.versions.empty()) {
      operation.kind = Operation::Kind::move;
      std::map<Path, std::string> to;
      for (std::uint32_t i = 0; i <= draw(3); ++i) {
        const auto& [version, node] = *std::next(model.versions.begin(), draw(model.versions.size()));
        to[node] = std::to_string(version);
        const Path& other = nodes()[1 + draw(nodes().size() - 1)];
        to.emplace(other, draw(2) == 0 ? "removed" : "unset");
      }
      operation.to.assign(to.begin(), to.end());
    } else {
      operation.kind = Operation::Kind::publish;
      operation.replace = draw(2) == 0;
      for (const Path& node : nodes()) {
        if (node.empty() || draw(2) == 0) operation.nodes.push_back({node, ++versions_, static_cast<float>(draw(40))});
      }
    }
    return operation;
  }

  /// Erases only what counts, so that nothing has to be sent again for a tenant that is no more.
  Operation draw_for_others(Operation operation, const Model& model) {
    const auto& all = model_.others;
    const auto one = all.empty() ? all.end() : std::next(all.begin(), draw(all.size()));
    const bool is_there = one != all.end() && model.others.contains(*one);
    operation.kind = is_there && draw(2) == 0 ? Operation::Kind::erase_other : Operation::Kind::add_other;
    operation.other =
        operation.kind == Operation::Kind::erase_other ? *one : "other" + std::to_string(operation.release);
    return operation;
  }

  Status perform_for_others(const Operation& operation) {
    if (operation.kind == Operation::Kind::erase_other) {
      const wire::EraseRequest request{uuid('k', operation.release), operation.other, uuid('q', operation.release),
                                       false};
      return registry_->erase(local_, request).status();
    }
    Operation publish;
    publish.release = operation.release;
    publish.tag = "production";
    publish.nodes = {{{}, 1'000'000 + operation.release, 1}};
    return publish_with_artefacts(publish, operation.other);
  }

  /// Some slices of erasures.
  void work(std::uint32_t slices) {
    for (; slices > 0 && registry_->next_work_us() >= 0; --slices) {
      clock_.advance(registry_->next_work_us());
      registry_->work();
    }
  }

  /// Lets all erasures come to their end.
  void expect_erased() {
    // A minute for each: with sanitizers, on a busy machine, one takes ten seconds.
    const std::int64_t end =
        Clock::system().monotonic_us() + 60'000'000 * (1 + static_cast<std::int64_t>(erased_.size()));
    while (registry_->next_work_us() >= 0) {
      ASSERT_LT(Clock::system().monotonic_us(), end) << "it does not come to an end";
      work(1);
      std::this_thread::yield();
    }
    for (const auto& [tenant, receipt] : erased_) {
      const auto page = registry_->verify_erasure(local_, {tenant, receipt, {}});
      ASSERT_OK(page);
      for (const std::string& line : page->left) ADD_FAILURE() << tenant << ": " << line;
    }
  }

  Status perform(const Operation& operation) {
    clock_.advance(1000);
    if (!operation.other.empty()) return perform_for_others(operation);
    if (operation.kind == Operation::Kind::roll_back) {
      return roll_back(operation.release, operation.from, operation.tag).status();
    }
    if (operation.kind == Operation::Kind::move) {
      std::vector<wire::TagEntry> entries;
      for (const auto& [partition, to] : operation.to) {
        wire::TagEntry entry;
        entry.partition = partition;
        entry.kind = to == "removed" ? wire::EntryKind::removed
                     : to == "unset" ? wire::EntryKind::unset
                                     : wire::EntryKind::version;
        if (entry.kind == wire::EntryKind::version) {
          entry.version = uuid('v', static_cast<std::uint32_t>(std::stoul(to)));
        }
        entries.push_back(std::move(entry));
      }
      return move(operation.release, entries, operation.tag).status();
    }
    return publish_with_artefacts(operation);
  }

  Status publish_with_artefacts(const Operation& operation, const std::string& tenant = "acme") {
    Proposal proposal;
    proposal.request = of_total<wire::PublishRequest>();
    proposal.request.tenant = tenant;
    proposal.request.idem = uuid('i', operation.release);
    proposal.request.tag = operation.tag;
    proposal.request.release = uuid('r', operation.release);
    proposal.request.spec_json = spec_json("total", {"country", "state"});
    proposal.request.fields = {{"age", model::FieldType::number}};
    proposal.request.replace = operation.replace;
    for (const Node& node : operation.nodes) {
      const std::string& bytes = artefact(node.bias);
      wire::VersionRecord version;
      version.version = uuid('v', node.version);
      version.partition = node.partition;
      version.artefact = blake2b_256(bytes);
      RETURN_IF_ERROR(registry_->upload(local_, {tenant, {version.artefact}}, {bytes}).status());
      proposal.versions.push_back(std::move(version));
    }
    return publish(proposal).status();
  }

  const std::string& artefact(float bias) {
    std::string& bytes = artefacts_[bias];
    if (bytes.empty()) bytes = small_artefact(bias);
    return bytes;
  }

  using Group = std::vector<Operation>;
  /// Operations that fit onto each other; `drawn_` is what the model is after them.
  Group draw_group() {
    Group group;
    for (std::uint32_t i = 0; i <= draw(5); ++i) {
      group.push_back(draw_operation(drawn_));
      apply(drawn_, group.back());
    }
    return group;
  }
  void count_all(const Group& group) {
    for (const Operation& operation : group) {
      apply(model_, operation);
      if (operation.kind == Operation::Kind::erase_other) {
        erased_.emplace_back(operation.other, uuid('q', operation.release));
      }
    }
  }

  /// Not ok: of the first operation that failed, or of the group's end. `counted`: operations that said ok.
  Status perform(const Group& group, std::size_t& counted) {
    registry_->begin_group();
    Status failed;
    counted = 0;
    for (const Operation& operation : group) {
      failed = perform(operation);
      if (!failed.ok()) break;
      ++counted;
    }
    const Registry::Group outcome = registry_->end_group();
    if (!outcome.changes.ok() || !outcome.uploads.ok()) counted = 0;
    if (!failed.ok()) return failed;
    return outcome.changes.ok() ? outcome.uploads : outcome.changes;
  }

  /// The group, and once more behind the erasures that wait where too many do: their copying has its own pace.
  Status perform_in_the_end(const Group& group, std::size_t& counted) {
    const Status status = perform(group, counted);
    if (status.code() != Code::overloaded) return status;
    while (registry_->next_work_us() >= 0 && !files_.was_reached()) {
      work(1);
      std::this_thread::yield();
    }
    const std::size_t before = counted;
    const Status again = perform(group, counted);
    counted = std::max(counted, before);
    return again;
  }

  /// As read through the registry.
  Model observed() {
    Model model;
    const auto all = registry_->models(local_, {});
    EXPECT_OK(all);
    for (const auto& record : all->models) {
      if (record.tenant != "acme") model.others.insert(record.tenant);
    }
    auto request = of_total<wire::ModelsRequest>();
    const auto models = registry_->models(local_, request);
    if (!models.ok()) return model;
    for (const auto& tag : models->models.at(0).tags) model.tags[tag] = parse(state(0, tag, 3));
    auto versions = of_total<wire::VersionsRequest>();
    versions.limit = 50;
    do {
      const auto page = registry_->versions(local_, versions);
      EXPECT_OK(page);
      for (const auto& version : page->versions) {
        model.versions[number(version.version)] = version.partition;
        if (draw(kDrawn) > 0) continue;
        EXPECT_OK(registry_->fetch(local_, {"acme", {version.artefact}}, bodies_));
        EXPECT_FALSE(bodies_.empty()) << "an artefact is missing";
        bodies_.clear();
      }
      versions.cursor = page->cursor;
    } while (!versions.cursor.empty());
    auto releases = of_total<wire::ReleasesRequest>();
    do {
      const auto page = registry_->releases(local_, releases);
      EXPECT_OK(page);
      for (const auto& release : page->releases) {
        const bool is_drawn = draw(kDrawn) == 0;
        model.releases[number(release.release)] = {
            release.tag, is_drawn ? parse(state(release.epoch, release.tag, 100)) : TagState(), is_drawn};
      }
      releases.cursor = page->cursor;
    } while (!releases.cursor.empty());
    return model;
  }

  static std::uint32_t number(const Uuid& uuid) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(uuid.bytes.data()) + 12;
    return static_cast<std::uint32_t>(bytes[0]) << 24 | static_cast<std::uint32_t>(bytes[1]) << 16 |
           static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3];
  }

  static TagState parse(const std::string& text) {
    TagState state;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
      const std::size_t equals = word.find('=');
      Path path;
      std::istringstream values(word.substr(0, equals));
      for (std::string value; std::getline(values, value, '/');) path.push_back(value);
      if (word.starts_with("/=")) path.clear();
      state[path] = word.substr(equals + 1);
    }
    return state;
  }

  /// After how many of the group's operations the registry is as it is; nothing: half-done, or something was lost.
  std::optional<std::size_t> place_in(const Group& group, const Model& seen) {
    Model model = model_;
    for (std::size_t done = 0;; ++done) {
      if (seen == model) return done;
      if (done == group.size()) return std::nullopt;
      apply(model, group[done]);
    }
  }

  void expect_history(const Model& seen) {
    for (const auto& [release, expected] : model_.releases) {
      const auto found = seen.releases.find(release);
      ASSERT_NE(found, seen.releases.end()) << release;
      if (!found->second.is_known) continue;
      ASSERT_EQ(line(found->second.state), line(expected.state)) << "as of release " << release;
    }
  }

  /// Each release that is there has exactly one record, and nothing that isn't there has one.
  void expect_audit(const Model& seen) {
    std::set<Uuid> there;
    for (const auto& [release, state] : seen.releases) there.insert(uuid('r', release));
    ASSERT_EQ(audited_releases(*registry_, local_, "acme"), there);
  }

  /// What counts against acme's quota, as it was kept since the start, is what its tags say.
  void expect_quota(const Model& model) {
    std::uint64_t nodes = 0;
    for (const auto& [tag, state] : model.tags) {
      for (const auto& [node, entry] : state) nodes += entry != "removed" ? 1 : 0;
    }
    const auto reply = registry_->quota(local_, {"acme"});
    ASSERT_OK(reply);
    ASSERT_EQ(reply->used.nodes, nodes);
    ASSERT_EQ(reply->used.models, model.releases.empty() ? 0u : 1u);
  }

  FilesEnv files_env_{files_};
  std::mt19937 chance_{20};
  Model model_, drawn_;                               ///< after what counts; after what was drawn
  std::vector<std::pair<std::string, Uuid>> erased_;  ///< and their receipts
  std::uint32_t releases_ = 0, versions_ = 0;
  std::map<float, std::string> artefacts_;
  Registry::Bodies bodies_;
};

TEST_F(RandomOperations, WhatIsAcknowledgedSurvivesACrashBetweenAnyTwoCalls) {
  std::size_t operations = 0;
  int crashes = 0, kept_unacknowledged = 0;
  for (int life = 0; life < kLives; ++life) {
    // Every other time at a sync: what it was for may have reached the disk, and nobody was told.
    if (life % 2 == 0) {
      files_.crash_at(draw(200), testing::FaultyFiles::kSync);
    } else {
      files_.crash_at(draw(life % 4 == 1 ? 60 : 1000));
    }
    Group group;
    std::size_t counted = 0;
    Status status;
    while (status.ok()) {
      count_all(group);
      group = draw_group();
      operations += group.size();
      status = perform_in_the_end(group, counted);
      if (!status.ok()) break;
      if (draw(8) == 0) ASSERT_NO_FATAL_FAILURE(expect_quota(drawn_));
      work(draw(30));
    }
    ASSERT_TRUE(files_.was_reached()) << status.text();
    ++crashes;
    registry_.reset();
    if (draw(2) == 0) {
      files_.crash(static_cast<testing::FaultyFiles::Torn>(draw(3)));
    } else {
      files_.crash_reordered(chance_);
    }
    ASSERT_NO_FATAL_FAILURE(reopen());
    const Model seen = observed();
    const auto place = place_in(group, seen);
    ASSERT_TRUE(place) << "half-done, or lost, after crash " << crashes;
    ASSERT_GE(*place, counted);
    kept_unacknowledged += *place > counted;
    group.resize(*place);
    count_all(group);
    drawn_ = model_;
    ASSERT_NO_FATAL_FAILURE(expect_history(seen));
    if (life % 4 == 0 || life + 1 == kLives) ASSERT_NO_FATAL_FAILURE(expect_audit(seen));
    ASSERT_NO_FATAL_FAILURE(expect_quota(seen));
  }
  ASSERT_NO_FATAL_FAILURE(expect_erased());
  if (!testing::kIsSanitized) {
    EXPECT_GT(erased_.size(), 5u);
  }
  EXPECT_GT(operations, 30u * kLives);
  EXPECT_EQ(crashes, kLives);
  if (!testing::kIsSanitized) {
    EXPECT_GT(kept_unacknowledged, 0) << "no crash came between disk and acknowledgement";
  }
}

TEST_F(RandomOperations, WhatIsSentAgainAfterAFailureIsAppliedOnce) {
  const Status failures[] = {Status(Code::resource_exhausted, "the disk is full"),
                             Status(Code::unavailable, "input/output error")};
  int failed = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Group group = draw_group();
    files_.fail_at(draw(20), failures[draw(2)]);
    std::size_t counted = 0;
    Status status = perform(group, counted);
    failed += !status.ok();
    // Reads in between give one of the group's states, never less than was acknowledged.
    const auto place = place_in(group, observed());
    ASSERT_TRUE(place) << status.text();
    ASSERT_GE(*place, counted) << status.text();
    files_.heal();
    for (int again = 0; again < 3 && !status.ok(); ++again) status = perform(group, counted);
    ASSERT_OK(status);
    count_all(group);
    ASSERT_TRUE(observed() == model_) << "round " << round;
    ASSERT_NO_FATAL_FAILURE(expect_quota(model_));
    work(draw(30));
    if (round % 20 == 19) {
      ASSERT_NO_FATAL_FAILURE(reopen());
      const Model seen = observed();
      ASSERT_TRUE(seen == model_);
      ASSERT_NO_FATAL_FAILURE(expect_history(seen));
      ASSERT_NO_FATAL_FAILURE(expect_audit(seen));
      ASSERT_NO_FATAL_FAILURE(expect_quota(seen));
    }
  }
  ASSERT_NO_FATAL_FAILURE(expect_erased());
  EXPECT_GT(failed, kRounds / 7);
}

}  // namespace
}  // namespace espalier::registry
