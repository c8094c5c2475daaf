// Keys: how they come, change and go, and who may change them.
#include <algorithm>
#include <limits>

#include "registry/key_records.h"
#include "tests/unit/registry/registry_fixture.h"
#include "wire/keyring.h"

namespace espalier::registry {
namespace {

using Texts = std::vector<std::string>;

Hash256 half(unsigned char number) {
  Hash256 key;
  key.bytes.fill(number);
  return key;
}

class KeyOperationsTest : public RegistryFixture {
 protected:
  wire::KeyCreateRequest create(const std::string& name, unsigned char key) {
    return {uuid('k', ++idem_), name, {"publisher", "predictor"}, {"globex", "acme"}, false, 0, half(key)};
  }
  wire::KeyLimitRequest limit(const std::string& name, Texts roles, Texts tenants, std::int64_t expires_us = 0) {
    return {uuid('k', ++idem_), name, std::move(roles), std::move(tenants), expires_us};
  }
  wire::KeyRotateRequest rotate(const std::string& name, unsigned char key, std::int64_t overlap_us) {
    return {uuid('k', ++idem_), name, half(key), overlap_us};
  }
  wire::KeyRevokeRequest revoke(const std::string& name) { return {uuid('k', ++idem_), name}; }
  wire::KeyRecord key(const std::string& name) {
    const auto reply = registry_->keys(local_, {});
    EXPECT_OK(reply);
    for (const wire::KeyRecord& record : reply->keys) {
      if (record.name == name) return record;
    }
    ADD_FAILURE() << "no key " << name;
    return {};
  }
  std::int64_t now_us() const { return clock_.wall_us(); }

  std::uint32_t idem_ = 0;
};

TEST_F(KeyOperationsTest, AreThereFromTheirCommitOnAndAfterARestart) {
  ASSERT_OK_AND_ASSIGN(const auto none, registry_->keys(local_, {}));
  EXPECT_TRUE(none.keys.empty());
  EXPECT_EQ(none.epoch, 0u);
  ASSERT_OK_AND_ASSIGN(const auto reply, registry_->key_create(local_, create("zeta", 1)));
  ASSERT_OK(registry_->key_create(local_, create("eta", 2)));
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK_AND_ASSIGN(const auto all, registry_->keys(local_, {}));
    ASSERT_EQ(all.keys.size(), 2u);
    EXPECT_GT(all.epoch, reply.epoch);
    EXPECT_EQ(all.keys[0].name, "eta") << "by name";
    EXPECT_EQ(all.keys[1].name, "zeta");
    EXPECT_EQ(all.keys[1].epoch, reply.epoch);
    EXPECT_EQ(all.keys[1].roles, (Texts{"predictor", "publisher"}));
    EXPECT_EQ(all.keys[1].tenants, (Texts{"acme", "globex"}));
    EXPECT_EQ(all.keys[1].principal, "local");
    EXPECT_EQ(all.keys[1].halves.at(0).key, half(1));
    registry_.reset();
    open();
  }
}

TEST_F(KeyOperationsTest, AReaderThatHasThemHearsOnlyOfOthers) {
  ASSERT_OK_AND_ASSIGN(const auto made, registry_->key_create(local_, create("eta", 1)));
  wire::KeysRequest known{made.generation, made.epoch, 0};
  ASSERT_OK_AND_ASSIGN(const auto same, registry_->keys(local_, known));
  EXPECT_TRUE(same.unchanged && same.keys.empty());
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  ASSERT_OK_AND_ASSIGN(const auto still, registry_->keys(local_, known));
  EXPECT_TRUE(still.unchanged) << "of other changes too";
  ASSERT_OK(registry_->key_revoke(local_, revoke("eta")));
  ASSERT_OK_AND_ASSIGN(const auto other, registry_->keys(local_, known));
  EXPECT_FALSE(other.unchanged);
  EXPECT_EQ(other.keys.size(), 1u);
  known.generation += 1;
  known.after = other.epoch;
  ASSERT_OK_AND_ASSIGN(const auto all, registry_->keys(local_, known));
  EXPECT_FALSE(all.unchanged) << "of another generation nothing is known";
}

TEST_F(KeyOperationsTest, ALimitOnlyTakesAway) {
  ASSERT_OK(registry_->key_create(local_, create("eta", 1)));
  EXPECT_CODE(registry_->key_limit(local_, limit("eta", {"admin"}, {})), Code::invalid_argument);
  EXPECT_CODE(registry_->key_limit(local_, limit("eta", {"predictor", "reader"}, {})), Code::invalid_argument);
  EXPECT_CODE(registry_->key_limit(local_, limit("eta", {}, {"initech"})), Code::invalid_argument);
  ASSERT_OK(registry_->key_limit(local_, limit("eta", {"predictor"}, {})));
  EXPECT_EQ(key("eta").roles, Texts{"predictor"});
  EXPECT_EQ(key("eta").tenants, (Texts{"acme", "globex"})) << "what isn't named stays";
  ASSERT_OK(registry_->key_limit(local_, limit("eta", {}, {"acme"}, now_us() + 1000)));
  EXPECT_EQ(key("eta").tenants, Texts{"acme"});
  EXPECT_CODE(registry_->key_limit(local_, limit("eta", {"publisher"}, {})), Code::invalid_argument);
  EXPECT_CODE(registry_->key_limit(local_, limit("eta", {}, {}, now_us() + 2000)), Code::invalid_argument);
  EXPECT_CODE(registry_->key_limit(local_, limit("eta", {}, {}, now_us() - 2000)), Code::invalid_argument);
  auto wide = create("theta", 2);
  wide.tenants.clear();
  wide.all_tenants = true;
  ASSERT_OK(registry_->key_create(local_, wide));
  ASSERT_OK(registry_->key_limit(local_, limit("theta", {}, {"acme"})));
  EXPECT_FALSE(key("theta").all_tenants);
}

TEST_F(KeyOperationsTest, ARotationLetsBothHalvesCountForAsLongAsItSays) {
  ASSERT_OK(registry_->key_create(local_, create("eta", 1)));
  ASSERT_OK(registry_->key_rotate(local_, rotate("eta", 2, 1'000'000)));
  auto halves = key("eta").halves;
  ASSERT_EQ(halves.size(), 2u);
  EXPECT_EQ(halves[0].key, half(2));
  EXPECT_EQ(halves[0].until_us, 0);
  EXPECT_EQ(halves[1].key, half(1));
  const std::int64_t until_us = halves[1].until_us;
  EXPECT_GT(until_us, now_us());
  ASSERT_OK(registry_->key_rotate(local_, rotate("eta", 3, 9'000'000)));
  EXPECT_EQ(key("eta").halves.at(2).until_us, until_us) << "the first never counts for longer than was said";
  clock_.advance(1'100'000);
  ASSERT_OK(registry_->key_rotate(local_, rotate("eta", 4, 0)));
  EXPECT_EQ(key("eta").halves.size(), 1u) << "at once";
  for (unsigned char i = 5; i < 8; ++i) ASSERT_OK(registry_->key_rotate(local_, rotate("eta", i, 1'000'000)));
  EXPECT_CODE(registry_->key_rotate(local_, rotate("eta", 8, 1'000'000)), Code::resource_exhausted);
  EXPECT_CODE(registry_->key_rotate(local_, rotate("eta", 9, -1)), Code::invalid_argument);
  EXPECT_CODE(registry_->key_rotate(local_, rotate("eta", 9, kLongestOverlapUs + 1)), Code::invalid_argument);
}

TEST_F(KeyOperationsTest, WhatIsRevokedStaysAndItsNameIsNotUsedAgain) {
  ASSERT_OK(registry_->key_create(local_, create("eta", 1)));
  const auto once = revoke("eta");
  ASSERT_OK_AND_ASSIGN(const auto reply, registry_->key_revoke(local_, once));
  ASSERT_OK_AND_ASSIGN(const auto again, registry_->key_revoke(local_, once));
  EXPECT_EQ(again.epoch, reply.epoch) << "sent again it isn't done again";
  EXPECT_NE(key("eta").revoked_us, 0);
  EXPECT_FALSE(wire::is_valid(key("eta"), now_us()));
  EXPECT_CODE(registry_->key_create(local_, create("eta", 2)), Code::failed_precondition);
  EXPECT_CODE(registry_->key_rotate(local_, rotate("eta", 2, 0)), Code::failed_precondition);
  EXPECT_CODE(registry_->key_limit(local_, limit("eta", {"predictor"}, {})), Code::failed_precondition);
}

TEST_F(KeyOperationsTest, RefusesWhatMakesNoSense) {
  ASSERT_OK(registry_->key_create(local_, create("eta", 1)));
  EXPECT_CODE(registry_->key_create(local_, create("eta", 2)), Code::already_exists);
  const auto refused = [&](auto change) {
    auto request = create("theta", 3);
    change(request);
    const auto reply = registry_->key_create(local_, request);
    EXPECT_CODE(reply, Code::invalid_argument);
    return reply.status().message();
  };
  using Request = wire::KeyCreateRequest;
  refused([](Request& r) { r.name = "Theta"; });
  refused([](Request& r) { r.name = "local"; });
  refused([](Request& r) { r.roles = {}; });
  refused([](Request& r) { r.roles = {"king"}; });
  refused([](Request& r) { r.roles = {"router", "reader"}; });
  refused([](Request& r) { r.roles = {"shard"}; });  // with tenants
  refused([](Request& r) { r.tenants = {}; });
  refused([](Request& r) { r.all_tenants = true; });
  refused([](Request& r) { r.tenants = {"A"}; });
  refused([](Request& r) { r.key = {}; });
  refused([&](Request& r) { r.expires_us = now_us() - 1; });
  EXPECT_NE(refused([](Request& r) { r.key = half(1); }).find("eta"), std::string::npos) << "says whose it is";
  EXPECT_CODE(registry_->key_rotate(local_, rotate("eta", 1, 0)), Code::invalid_argument);
  EXPECT_CODE(registry_->key_revoke(local_, revoke("theta")), Code::not_found);
  EXPECT_CODE(registry_->key_rotate(local_, rotate("theta", 9, 0)), Code::not_found);
  EXPECT_CODE(registry_->key_limit(local_, limit("theta", {"reader"}, {})), Code::not_found);
}

TEST_F(KeyOperationsTest, AreChangedByWhoRunsTheClusterOnly) {
  ASSERT_OK(registry_->key_create(local_, create("eta", 1)));
  Principal admin("admin-of-acme"), router("r0"), shard("s0");
  admin.grant("acme", {true, true, true, true});
  router.grant_routing();
  shard.grant_serving();
  for (const Principal* who : {&admin, &router, &shard}) {
    for (const std::string name : {"eta", "absent"}) {
      EXPECT_CODE(registry_->key_create(*who, create(name, 7)), Code::permission_denied);
      EXPECT_CODE(registry_->key_limit(*who, limit(name, {"predictor"}, {})), Code::permission_denied);
      EXPECT_CODE(registry_->key_rotate(*who, rotate(name, 7, 0)), Code::permission_denied);
      EXPECT_CODE(registry_->key_revoke(*who, revoke(name)), Code::permission_denied);
    }
  }
  EXPECT_CODE(registry_->keys(admin, {}), Code::permission_denied);
  EXPECT_OK(registry_->keys(router, {}));
  EXPECT_OK(registry_->keys(shard, {}));
}

TEST_F(KeyOperationsTest, RoutersAndShardsReadWhatTheyNeedAndNoMore) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));  // of acme, total
  Principal router("r0"), shard("s0");
  router.grant_routing();
  shard.grant_serving();
  wire::ModelsRequest models{"acme", "total"};
  wire::TagEntriesRequest entries;
  entries.tenant = "acme", entries.model = "total", entries.tag = "production";
  wire::FetchRequest fetch;
  fetch.tenant = "acme";
  wire::VersionsRequest versions;
  versions.tenant = "acme", versions.model = "total";
  wire::ReleasesRequest releases;
  releases.tenant = "acme", releases.model = "total";
  wire::SearchRequest search;
  search.kind = "versions";
  for (const Principal* who : {&router, &shard}) {
    EXPECT_OK(registry_->models(*who, models));
    EXPECT_OK(registry_->feed(*who, {}));
    EXPECT_OK(registry_->view(*who, {}));
    EXPECT_CODE(registry_->versions(*who, versions), Code::permission_denied);
    EXPECT_CODE(registry_->releases(*who, releases), Code::permission_denied);
    ASSERT_OK_AND_ASSIGN(const auto found, registry_->search(*who, search));
    EXPECT_TRUE(found.rows.empty());
  }
  Registry::Bodies bodies;
  EXPECT_OK(registry_->tag_entries(shard, entries));
  EXPECT_OK(registry_->fetch(shard, fetch, bodies));
  EXPECT_CODE(registry_->tag_entries(router, entries), Code::permission_denied);
  EXPECT_CODE(registry_->changed_entries(router, {}), Code::permission_denied);
  EXPECT_NE(registry_->changed_entries(shard, {}).status().code(), Code::permission_denied);
  EXPECT_CODE(registry_->fetch(router, fetch, bodies), Code::permission_denied);
}

TEST_F(KeyOperationsTest, AShardsKeyStandsForItsOwnNameOnly) {
  Principal shard("s0"), router("r0");
  shard.grant_serving();
  router.grant_routing();
  const auto joining = [&](const std::string& name) {
    wire::JoinRequest request;
    request.idem = uuid('j', ++idem_);
    request.shard.name = name;
    request.shard.endpoints = {"ipc:///tmp/" + name};
    return request;
  };
  EXPECT_OK(registry_->join(shard, joining("s0")));
  EXPECT_CODE(registry_->join(shard, joining("s1")), Code::permission_denied);
  EXPECT_CODE(registry_->join(router, joining("s1")), Code::permission_denied);
  ASSERT_OK(registry_->join(local_, joining("s1")));
  wire::RenewRequest renew;
  renew.shard = "s1";
  EXPECT_CODE(registry_->renew(shard, renew), Code::permission_denied);
  EXPECT_CODE(registry_->leave(shard, {uuid('l', 1), "s1"}), Code::permission_denied);
  EXPECT_CODE(registry_->drain(shard, {uuid('l', 2), "s1"}), Code::permission_denied);
  wire::AckRequest ack;
  ack.shard = "s1";
  EXPECT_CODE(registry_->ack(shard, ack), Code::permission_denied);
}

}  // namespace
}  // namespace espalier::registry
