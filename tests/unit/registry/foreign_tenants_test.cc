// One tenant's key finds out nothing of another tenant through any operation that the registry answers: not whether
// something is there, by no code, text or time. The walk goes through the server's own list of operations; an operation
// that the protocol's document doesn't show fails it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "tests/unit/registry/secured_fixture.h"
#include "tests/unit/wire/sample_messages.h"

namespace espalier::registry {
namespace {

using nlohmann::json;
using Pointer = json::json_pointer;

constexpr const char* kOther = "acme";  ///< the tenant that nothing is to be found out of
constexpr const char* kOwn = "globex";

std::string packed(const json& header) {
  std::string bytes;
  json::to_msgpack(header, nlohmann::detail::output_adapter<char>(bytes));
  return bytes;
}

/// The request of that name as the document shows it; null: it doesn't.
json sample_of(std::string_view op) {
  for (const auto& [name, bytes] : wire::samples::all()) {
    if (!name.ends_with(".request")) continue;
    json header = json::from_msgpack(bytes);
    if (header.at("op") != op) continue;
    if (header.contains("wait_us")) header["wait_us"] = 0;
    return header;
  }
  return nullptr;
}

void set_names(json& header, const std::string& tenant, const std::string& model) {
  json& about = header.contains("dataset") && header["dataset"].is_object() ? header["dataset"] : header;
  if (about.contains("tenant")) about["tenant"] = tenant;
  if (about.contains("model")) about["model"] = model;
}

std::string without(std::string text, const std::string& word) {
  if (word.empty()) return text;
  for (std::size_t at = 0; (at = text.find(word)) != std::string::npos;) text.replace(at, word.size(), "…");
  return text;
}

/// Members that name something: UUIDs and hashes, and words.
struct Place {
  Pointer at;
  std::size_t bytes;  ///< 16, 32; 0: a word
};
std::vector<Place> places_of(const json& header) {
  const std::set<std::string> words = {"tag", "from", "onto", "on", "archive", "name"};
  std::vector<Place> places;
  const json flat = header.flatten();
  for (const auto& [path, value] : flat.items()) {
    const Pointer at(path);
    if (at.back() == "idem") continue;
    if (value.is_binary() && (value.get_binary().size() == 16 || value.get_binary().size() == 32)) {
      places.push_back({at, value.get_binary().size()});
    } else if (value.is_string() && words.contains(at.back())) {
      places.push_back({at, 0});
    }
  }
  return places;
}

class ForeignTenantsTest : public SecuredFixture {
 protected:
  /// acme has one of everything. Each operation gets a tenant of its own, with a model of the same name: what one does
  /// for it is not in another's way.
  ForeignTenantsTest() {
    EXPECT_OK(publish(propose(1, {{{}, 1, 1}, {{"usa"}, 2, 2}}, "hidden")));
    EXPECT_OK(publish(propose(2, {{{}, 3, 3}})));
    wire::RunStartRequest run{uuid('i', ++idems_), kOther, "total", uuid('R', 1), "hidden"};
    EXPECT_OK(registry_->run_start(local_, run));
    wire::DatasetPutRequest dataset{uuid('i', ++idems_), {}};
    dataset.dataset.tenant = kOther;
    dataset.dataset.dataset = blake2b_256("acme's rows");
    dataset.dataset.source = "hidden.csv";
    EXPECT_OK(registry_->dataset_put(local_, dataset));
    EXPECT_OK(registry_->collect(local_, {uuid('i', ++idems_), kOther, "total", uuid('c', 1), false}));
    while (registry_->next_work_us() == 0) registry_->work();
    Proposal first = propose(1, {{{}, 1, 1}, {{"usa"}, 2, 2}}, "hidden"), second = propose(2, {{{}, 3, 3}});
    foreign_uuids_ = {first.request.release,      second.request.release, first.versions[0].version,
                      second.versions[0].version, uuid('R', 1),           uuid('c', 1)};
    foreign_hashes_ = {dataset.dataset.dataset, first.versions[0].artefact, second.versions[0].artefact};
    std::vector<std::string> tenants = {kOwn};
    for (const Server::Operation& operation : Server::operations()) {
      own_[std::string(operation.name)] = "own-" + std::to_string(own_.size());
      tenants.push_back(own_[std::string(operation.name)]);
    }
    for (const std::string& tenant : tenants) publish_for(tenant);
    mallory_ = add_key("mallory", {"admin"}, tenants);
    random_.seed(7);
  }

  void publish_for(const std::string& tenant) {
    upload(small_artefact(1), tenant);
    Proposal own = propose(9, {{{}, 9, 1}});
    own.request.tenant = tenant;
    own.request.idem = uuid('i', ++idems_);
    EXPECT_OK(publish(own));
  }

  std::string fresh(std::size_t bytes) {
    std::string made(bytes, '\0');
    for (char& byte : made) byte = static_cast<char>(random_());
    return made;
  }
  static json binary(std::string_view bytes) {
    return json::binary(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
  }

  /// The sample as a request about a tenant of mallory's, names new throughout, from its first page on.
  json about_own(const json& sample, const std::string& tenant) {
    json header = sample;
    set_names(header, tenant, "total");
    for (const char* member : {"cursor", "epoch", "time_us", "expected_release"}) header.erase(member);
    if (header.contains("idem")) header["idem"] = binary(fresh(16));
    for (const Place& place : places_of(header)) {
      if (place.bytes > 0) header[place.at] = binary(fresh(place.bytes));
    }
    return header;
  }

  /// What came back but for the name that was asked for: the same for what another tenant has and for what nobody has.
  static std::string outcome(const std::string& reply, const std::string& name) {
    const Status status = wire::peek_status(reply);
    std::string text = std::string(code_name(status.code())) + ": " + status.message();
    if (name.size() == 16) text = without(text, Uuid::from_bytes(name)->text());
    if (name.size() == 32) text = without(text, Hash256::from_bytes(name)->hex());
    return without(text, name);
  }
  /// The same but for all names in the request.
  static std::string outcome(const std::string& reply, const json& header, const Place& asked) {
    std::string text = outcome(reply, asked.bytes == 0 ? header[asked.at].get<std::string>() : "");
    for (const Place& place : places_of(header)) {
      if (place.bytes == 0) continue;
      const auto& bytes = header[place.at].get_binary();
      const std::string name(bytes.begin(), bytes.end());
      text = without(text, name.size() == 16 ? Uuid::from_bytes(name)->text() : Hash256::from_bytes(name)->hex());
    }
    return text;
  }

  std::map<std::string, std::string> own_;  ///< by operation
  std::vector<Uuid> foreign_uuids_;
  std::vector<Hash256> foreign_hashes_;
  std::uint32_t idems_ = 100;
  Pair mallory_;
  std::mt19937 random_;
};

TEST_F(ForeignTenantsTest, EachOperationIsInTheDocumentAndNamesItsRight) {
  std::set<std::string_view> names;
  for (const Server::Operation& operation : Server::operations()) {
    EXPECT_FALSE(sample_of(operation.name).is_null()) << operation.name << " has no sample";
    EXPECT_TRUE(names.insert(operation.name).second) << operation.name << " is listed twice";
  }
  // The other way round: the document shows nothing of a registry that it doesn't answer.
  const std::set<std::string> elsewhere = {"predict", "shard_status", "router_status", "traffic"};
  for (const auto& [name, bytes] : wire::samples::all()) {
    if (!name.ends_with(".request")) continue;
    const std::string op = json::from_msgpack(bytes).at("op");
    EXPECT_TRUE(names.contains(op) || elsewhere.contains(op)) << op;
  }
}

TEST_F(ForeignTenantsTest, AForeignTenantsNamesAreRefusedInTheSameWordsWhateverIsThere) {
  start();
  const auto socket = connect(mallory_);
  for (const Server::Operation& operation : Server::operations()) {
    SCOPED_TRACE(operation.name);
    const json sample = sample_of(operation.name);
    std::set<std::string> texts;
    for (const std::string tenant : {kOther, "nobody"}) {
      for (const char* model : {"total", "absent"}) {
        json header = sample;
        set_names(header, tenant, model);
        if (operation.name == "wait") header["epoch"] = tenant == kOther ? 1 : 1'000'000;
        const Status status = wire::peek_status(ask(*socket, packed(header)));
        if (operation.right != Right::any_key) {
          EXPECT_CODE(status, Code::permission_denied) << tenant << "/" << model;
        }
        texts.insert(without(status.message(), tenant));
      }
    }
    EXPECT_EQ(texts.size(), 1u) << json(texts).dump();
  }
}

TEST_F(ForeignTenantsTest, WhatNamesNoTenantHasOnlyWhatIsTheAskersOwn) {
  start();
  const auto socket = connect(mallory_);
  for (const Server::Operation& operation : Server::operations()) {
    const bool may_name_none = operation.right == Right::own || operation.right == Right::follow ||
                               operation.right == Right::whole || operation.right == Right::any_key;
    if (!may_name_none) continue;
    SCOPED_TRACE(operation.name);
    json header = sample_of(operation.name);
    for (const char* member : {"tenant", "model", "epoch", "time_us", "cursor"}) header.erase(member);
    if (operation.name == "search") {
      for (const char* kind : {"models", "versions", "releases", "nodes", "runs", "datasets", "tenants"}) {
        header["kind"] = kind;
        header["where"] = header["order"] = "";
        const std::string reply = ask(*socket, packed(header));
        EXPECT_EQ(reply.find(kOther), std::string::npos) << kind;
        EXPECT_EQ(reply.find("hidden"), std::string::npos) << kind;
      }
      continue;
    }
    const std::string reply = ask(*socket, packed(header));
    EXPECT_EQ(reply.find(kOther), std::string::npos);
    EXPECT_EQ(reply.find("hidden"), std::string::npos);
  }
}

TEST_F(ForeignTenantsTest, AForeignIdentifierUnderOnesOwnTenantIsAsOneThatNobodyHas) {
  start();
  const auto socket = connect(mallory_);
  int compared = 0;
  for (const Server::Operation& operation : Server::operations()) {
    if (!operation.names_tenant || operation.right == Right::operate) continue;
    const json sample = sample_of(operation.name);
    const std::string tenant = own_[std::string(operation.name)];
    for (const Place& place : places_of(sample)) {
      std::vector<std::string> names = {"hidden"};
      if (place.bytes > 0) names.clear();
      if (place.bytes == 16) {
        for (const Uuid& uuid : foreign_uuids_) names.emplace_back(uuid.view());
      }
      if (place.bytes == 32) {
        for (const Hash256& hash : foreign_hashes_) names.emplace_back(hash.view());
      }
      for (const std::string& name : names) {
        SCOPED_TRACE(std::string(operation.name) + " " + place.at.to_string());
        const std::string absent = place.bytes == 0 ? "absent" : fresh(place.bytes);
        std::string said[2];
        for (const bool is_foreign : {true, false}) {
          json header = about_own(sample, tenant);
          const std::string& asked = is_foreign ? name : absent;
          header[place.at] = place.bytes == 0 ? json(asked) : binary(asked);
          const std::string reply = ask(*socket, packed(header));
          said[is_foreign] = outcome(reply, header, place);
          EXPECT_EQ(reply.find(kOther), std::string::npos);
        }
        EXPECT_EQ(said[true], said[false]);
        ++compared;
      }
    }
  }
  std::printf("compared %d pairs of a foreign identifier and one that nobody has\n", compared);
  EXPECT_GE(compared, 100);
}

TEST_F(ForeignTenantsTest, ForeignIdentifiersInBodiesAreAsThoseThatNobodyHas) {
  // Made while the registry is still this thread's.
  const Proposal with_artefact = propose(20, {{{}, 20, 1}});
  const Proposal with_parent = propose(21, {{{}, 21, 1}});
  start();
  const auto socket = connect(mallory_);
  const auto same = [&](const char* what, const std::function<std::string(const std::string&)>& asks,
                        std::string_view foreign) {
    const std::string absent = fresh(foreign.size());
    EXPECT_EQ(asks(std::string(foreign)), asks(absent)) << what;
  };
  const auto move = [&](const std::string& version) {
    wire::MoveRequest request{*Uuid::from_bytes(fresh(16)), kOwn, "total", "production", *Uuid::from_bytes(fresh(16))};
    wire::TagEntry entry;
    entry.version = *Uuid::from_bytes(version);
    return outcome(ask(*socket, wire::encode(request), {wire::encode_array(std::vector{entry})}), version);
  };
  const auto publish_artefact = [&](const std::string& artefact) {
    Proposal own = with_artefact;
    own.request.tenant = kOwn;
    own.request.idem = *Uuid::from_bytes(fresh(16));
    own.versions[0].artefact = *Hash256::from_bytes(artefact);
    return outcome(ask(*socket, wire::encode(own.request), {wire::encode_array(own.versions)}), artefact);
  };
  const auto publish_parent = [&](const std::string& parent) {
    Proposal own = with_parent;
    own.request.tenant = kOwn;
    own.request.idem = *Uuid::from_bytes(fresh(16));
    own.versions[0].artefact = blake2b_256(small_artefact(1));
    own.versions[0].parent = *Uuid::from_bytes(parent);
    return outcome(ask(*socket, wire::encode(own.request), {wire::encode_array(own.versions)}), parent);
  };
  const auto look = [&](const std::string& version) {
    const wire::ImportRequest request{*Uuid::from_bytes(fresh(16)), kOwn, "elsewhere", *Hash256::from_bytes(fresh(32))};
    const auto reply =
        wire::decode_reply<wire::ImportReply>(ask(*socket, wire::encode(request), {version, "", "", ""}));
    if (!reply.ok()) return outcome(wire::encode_error(reply.status()), version);
    return without(reply->conflict, Uuid::from_bytes(version)->text());
  };
  for (const Uuid& foreign : foreign_uuids_) {
    same("move", move, foreign.view());
    same("publish: parent", publish_parent, foreign.view());
    same("import: look", look, foreign.view());
  }
  for (const Hash256& foreign : foreign_hashes_) {
    if (foreign != blake2b_256(small_artefact(1))) same("publish: artefact", publish_artefact, foreign.view());
  }
}

/// How often, of so many pairs asked one after the other in random order, the first took longer. Where both take the
/// same time this is a coin's number: whatever else the machine does meets both alike.
class Pairs {
 public:
  explicit Pairs(std::mt19937& random) : random_(random) {}
  template <class Ask>
  void compare(int pairs, const Ask& ask) {
    for (int i = 0; i < pairs; ++i) {
      const bool first = (random_() & 1) != 0;
      std::int64_t took[2];
      for (const bool which : {first, !first}) {
        const std::int64_t began = Clock::system().monotonic_us();
        ask(which);
        took[which] = Clock::system().monotonic_us() - began;
        times_[which].push_back(took[which]);
      }
      if (took[true] == took[false]) continue;
      ++unequal_;
      slower_ += took[true] > took[false];
    }
  }
  /// Standard deviations from what a coin gives. Beyond 5: once in 1.7 million.
  double deviations() const { return unequal_ == 0 ? 0 : (2.0 * slower_ - unequal_) / std::sqrt(unequal_); }
  std::int64_t median_us(bool which) {
    std::ranges::nth_element(times_[which], times_[which].begin() + static_cast<long>(times_[which].size() / 2));
    return times_[which][times_[which].size() / 2];
  }

 private:
  std::mt19937& random_;
  std::vector<std::int64_t> times_[2];
  int unequal_ = 0, slower_ = 0;
};

TEST_F(ForeignTenantsTest, NorDoesTheTimeOfAnAnswerTellWhatIsThere) {
  start();
  const auto socket = connect(mallory_);
  constexpr int kPairs = 100, kAgain = 400;
  constexpr double kBound = 5;
  int compared = 0;
  double most = 0;
  std::string most_of;
  const auto expect_alike = [&](const std::string& what, const auto& asks) {
    Pairs pairs(random_);
    pairs.compare(kPairs, asks);
    double deviations = std::abs(pairs.deviations());
    if (deviations > kBound) {
      Pairs again(random_);
      again.compare(kAgain, asks);
      deviations = std::min(deviations, std::abs(again.deviations()));
    }
    EXPECT_LE(deviations, kBound) << what << ": median " << pairs.median_us(true) << " µs for what is there, "
                                  << pairs.median_us(false) << " µs for what is not";
    ++compared;
    if (deviations > most) most = deviations, most_of = what;
  };
  for (const Server::Operation& operation : Server::operations()) {
    if (!operation.names_tenant || operation.right == Right::operate) continue;
    const json sample = sample_of(operation.name);
    std::string headers[2];
    for (const bool is_there : {true, false}) {
      json header = sample;
      set_names(header, is_there ? "acme" : "acne", is_there ? "total" : "tutal");
      headers[is_there] = packed(header);
    }
    expect_alike(std::string(operation.name), [&](bool is_there) { ask(*socket, headers[is_there]); });
    if (operation.is_change) continue;
    for (const Place& place : places_of(sample)) {
      if (place.bytes == 0) continue;
      for (const bool is_there : {true, false}) {
        json header = about_own(sample, own_[std::string(operation.name)]);
        const std::string_view there = place.bytes == 16 ? foreign_uuids_[2].view() : foreign_hashes_[2].view();
        header[place.at] = binary(is_there ? std::string(there) : fresh(place.bytes));
        headers[is_there] = packed(header);
      }
      expect_alike(std::string(operation.name) + " " + place.at.to_string(),
                   [&](bool is_there) { ask(*socket, headers[is_there]); });
    }
  }
  // That it would be seen: what is there of one's own and what isn't.
  std::string headers[2];
  for (const bool is_there : {true, false}) {
    headers[is_there] = wire::encode(wire::VersionsRequest{kOwn, is_there ? "total" : "tutal", {}});
  }
  Pairs own(random_);
  for (int looks = 0; looks < 20 && own.deviations() <= kBound; ++looks) {  // more, where the machine is busy
    own.compare(kAgain, [&](bool is_there) { ask(*socket, headers[is_there]); });
  }
  std::printf(
      "%d comparisons of %d pairs: at most %.1f standard deviations (%s); one's own things: %.1f, %ld and %ld µs\n",
      compared, kPairs, most, most_of.c_str(), own.deviations(), static_cast<long>(own.median_us(true)),
      static_cast<long>(own.median_us(false)));
  EXPECT_GT(own.deviations(), kBound) << "the comparison sees nothing on this machine";
}

}  // namespace
}  // namespace espalier::registry
