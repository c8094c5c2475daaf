// Quotas: what goes beyond one is refused whole, in the words that say which, and what is used is what there is.
#include "tests/unit/registry/space_fixture.h"

namespace espalier::registry {
namespace {

class QuotasTest : public SpaceFixture {
 protected:
  void allow(const wire::Quota& quota) { ASSERT_OK(registry_->set_quota(local_, {uuid('s', ++idem_), "acme", quota})); }
  /// "models/nodes/bytes"; expects a recount to find the same.
  std::string used() {
    const std::string kept = used_now();
    open();
    EXPECT_EQ(used_now(), kept) << "counted anew";
    return kept;
  }
  std::string used_now() {
    const auto reply = registry_->quota(local_, {"acme"});
    EXPECT_OK(reply);
    if (!reply.ok()) return "";
    const wire::Quota& used = reply->used;
    return std::to_string(used.models) + "/" + std::to_string(used.nodes) + "/" + std::to_string(used.bytes);
  }
  static std::string of(int models, int nodes, std::size_t bytes) {
    return std::to_string(models) + "/" + std::to_string(nodes) + "/" + std::to_string(bytes);
  }
  const std::size_t size_ = small_artefact(1).size();
  std::uint32_t idem_ = 0;
};

TEST_F(QuotasTest, NodesAreThoseForWhichATagNamesAVersion) {
  allow({0, 3, 0});
  ASSERT_OK(publish(1, {{{}, 1, 1}, {{"usa"}, 2, 2}, {{"br"}, 3, 3}}));
  EXPECT_EQ(used(), of(1, 3, 3 * size_));
  ASSERT_OK(publish(2, {{{}, 4, 1}, {{"peru"}, 5, 2}})) << "what it replaces goes";
  EXPECT_EQ(used(), of(1, 2, 3 * size_));
  ASSERT_OK(roll_back(3, 1));
  EXPECT_EQ(used(), of(1, 3, 3 * size_));
}

TEST_F(QuotasTest, WhatGoesBeyondIsRefusedWholeAndSaysWhich) {
  allow({1, 3, 0});
  ASSERT_OK(publish(1, {{{}, 1, 1}, {{"usa"}, 2, 2}}));
  Proposal more = propose(2, {{{"br"}, 3, 1}, {{"peru"}, 4, 1}});
  more.request.replace = false;
  const Status refused = publish(more).status();
  EXPECT_CODE(refused, Code::resource_exhausted);
  EXPECT_EQ(refused.message(), "quota of tenant acme: 2 nodes used, 3 allowed, 2 more asked for");
  EXPECT_EQ(state(), "/=1 usa=2") << "nothing of it was made";
  EXPECT_EQ(used(), of(1, 2, 2 * size_));
  Proposal another = propose(3, {{{}, 5, 1}});
  another.request.model = "other";
  another.request.spec_json = spec_json("other", {"country", "state"});
  EXPECT_CODE(publish(another), Code::resource_exhausted);
  ASSERT_OK(move(4, {unset({"usa"})}));
  EXPECT_EQ(used(), of(1, 1, 2 * size_));
  ASSERT_OK(publish(more)) << "there is room now";
  EXPECT_EQ(used(), of(1, 3, 2 * size_));
  EXPECT_CODE(move(5, {entry({"usa"}, 2)}), Code::resource_exhausted);
  ASSERT_OK(move(6, {entry({"br"}, 3), unset({"peru"}), entry({"usa"}, 2)})) << "one goes, one comes";
  EXPECT_EQ(used(), of(1, 3, 2 * size_));
  EXPECT_CODE(publish(7, {{{}, 7, 1}}, "canary"), Code::resource_exhausted) << "each tag's count";
  allow({});
  EXPECT_OK(publish(7, {{{}, 7, 1}}, "canary"));
}

TEST_F(QuotasTest, BytesAreThoseOfArtefactsThatAreStored) {
  allow({0, 0, 2 * size_});
  ASSERT_OK(publish(1, {{{}, 1, 1}, {{"usa"}, 2, 2}}));
  EXPECT_EQ(used(), of(1, 2, 2 * size_));
  const std::string third = small_artefact(3), first = small_artefact(1);
  const Status refused = registry_->upload(local_, {"acme", {blake2b_256(third)}}, {third}).status();
  EXPECT_CODE(refused, Code::resource_exhausted);
  EXPECT_EQ(refused.message(), "quota of tenant acme: " + std::to_string(2 * size_) + " bytes used, " +
                                   std::to_string(2 * size_) + " allowed, " + std::to_string(size_) +
                                   " more asked for");
  EXPECT_OK(registry_->upload(local_, {"acme", {blake2b_256(first)}}, {first})) << "it is there already";
  EXPECT_OK(registry_->upload(local_, {"globex", {blake2b_256(third)}}, {third})) << "another tenant's";
  ASSERT_OK(publish(2, {{{}, 3, 1}}));
  set_rule(90, [](auto& rule) { rule.keep_days = 1; });
  clock_.advance(30ll * 24 * 3600 * 1'000'000);
  ASSERT_OK(collect(5));
  EXPECT_EQ(used(), of(1, 1, size_)) << "collected";
  EXPECT_OK(registry_->upload(local_, {"acme", {blake2b_256(third)}}, {third}));
  EXPECT_EQ(used(), of(1, 1, 2 * size_));
  allow({5, 0, 0});
  const std::string fourth = small_artefact(4);
  used_now();
  EXPECT_OK(registry_->upload(local_, {"acme", {blake2b_256(fourth)}}, {fourth}));
  EXPECT_EQ(used(), of(1, 1, 3 * size_)) << "counted also where only something else is limited";
  allow({0, 0, size_});
  EXPECT_CODE(publish(6, {{{}, 6, 1}}), Code::resource_exhausted) << "already beyond: no new versions";
  EXPECT_OK(move(7, {entry({}, 3)})) << "but what there is may be moved";
}

TEST_F(QuotasTest, UploadsOfOneGroupCountTogether) {
  allow({0, 0, 2 * size_});
  registry_->begin_group();
  for (int i = 1; i <= 3; ++i) {
    const std::string bytes = small_artefact(float(i));
    const Status status = registry_->upload(local_, {"acme", {blake2b_256(bytes)}}, {bytes}).status();
    EXPECT_EQ(status.code(), i <= 2 ? Code::ok : Code::resource_exhausted) << i;
  }
  const auto group = registry_->end_group();
  EXPECT_OK(group.uploads);
  EXPECT_OK(group.changes);
  EXPECT_EQ(used(), of(0, 0, 2 * size_));
}

TEST_F(QuotasTest, ARecordTellsWhoSetItAndAReaderSeesItsOwn) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  allow({5, 6, 7'000});
  Principal eta("eta"), mallory("mallory");
  eta.grant("acme", {.read = true, .publish = true, .manage = true});
  mallory.grant("globex", {.read = true});
  ASSERT_OK_AND_ASSIGN(const auto reply, registry_->quota(eta, {"acme"}));
  EXPECT_EQ(reply.set.principal, "local");
  EXPECT_EQ(reply.set.quota.nodes, 6u);
  EXPECT_EQ(reply.used.models, 1u);
  EXPECT_CODE(registry_->quota(mallory, {"acme"}), Code::permission_denied);
  EXPECT_CODE(registry_->set_quota(eta, {uuid('s', 50), "acme", {}}), Code::permission_denied)
      << "nobody sets what holds himself";
  ASSERT_OK_AND_ASSIGN(const auto none, registry_->quota(local_, {"nobody"}));
  EXPECT_EQ(none.set.epoch, 0u);
}

TEST_F(QuotasTest, CountsNothingOfAGroupThatFailed) {
  allow({0, 10, 0});
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  registry_->begin_group();
  Proposal more = propose(2, {{{"br"}, 3, 1}, {{"peru"}, 4, 1}});
  more.request.replace = false;
  EXPECT_OK(publish(more));
  env_.fail_next_sync();
  EXPECT_FALSE(registry_->end_group().changes.ok());
  // Its outcome is known from the next change on: then it counts, or it doesn't.
  used_now();
  ASSERT_OK(publish(3, {{{}, 5, 1}}, "canary"));
  used();
}

}  // namespace
}  // namespace espalier::registry
