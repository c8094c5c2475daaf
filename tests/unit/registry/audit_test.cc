// The audit: each change that was made has one record of who made it, what was before and what is after; nothing else
// has one, and nobody can change it.
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/unit/registry/space_fixture.h"

namespace espalier::registry {
namespace {

using nlohmann::json;

class AuditTest : public SpaceFixture {
 protected:
  /// All of it, oldest first, read in pages of `page`.
  std::vector<wire::AuditRecord> audit(wire::AuditRequest request = {}, std::uint32_t page = 256) {
    std::vector<wire::AuditRecord> all;
    request.limit = page;
    do {
      const auto reply = registry_->audit(local_, request);
      EXPECT_OK(reply);
      if (!reply.ok()) break;
      EXPECT_LE(reply->records.size(), page);
      all.insert(all.end(), reply->records.begin(), reply->records.end());
      request.cursor = reply->cursor;
    } while (!request.cursor.empty());
    std::ranges::reverse(all);
    return all;
  }
  wire::AuditRecord last() {
    const auto all = audit();
    EXPECT_FALSE(all.empty());
    return all.empty() ? wire::AuditRecord() : all.back();
  }
  static json object(const std::string& text) { return text.empty() ? json() : json::parse(text); }
  /// "publish move …" of acme, oldest first.
  std::string operations(const wire::AuditRequest& request = {}) {
    std::string text;
    for (const auto& record : audit(request)) text += (text.empty() ? "" : " ") + record.operation;
    return text;
  }
};

TEST_F(AuditTest, SaysOfAReleaseWhichOneWasBefore) {
  ASSERT_OK_AND_ASSIGN(const auto first, publish(1, {{{}, 1, 1}}));
  wire::AuditRecord record = last();
  EXPECT_EQ(record.epoch, first.epoch);
  EXPECT_GE(record.time_us, clock_.wall_us());
  EXPECT_EQ(record.who, "local");
  EXPECT_EQ(record.operation, "publish");
  EXPECT_EQ(record.tenant + "/" + record.model + " " + record.subject, "acme/total tag production");
  EXPECT_EQ(record.before, "");
  EXPECT_EQ(object(record.after), json({{"release", uuid('r', 1).text()}, {"moved", 1}}));
  ASSERT_OK(publish(2, {{{}, 2, 2}}));
  ASSERT_OK(publish(3, {{{}, 3, 3}}, "canary"));
  EXPECT_EQ(last().before, "") << "another tag's releases are not its";
  ASSERT_OK(roll_back(4, 1));
  EXPECT_EQ(object(last().before)["release"], uuid('r', 2).text());
  open();
  ASSERT_OK(publish(5, {{{}, 5, 5}}));
  EXPECT_EQ(object(last().before)["release"], uuid('r', 4).text()) << "also after a start";
  EXPECT_EQ(audit().size(), 5u);
}

TEST_F(AuditTest, HasOneRecordOfWhatIsSentTwiceAndNoneOfWhatFailsOrChangesNothing) {
  const Proposal proposal = propose(1, {{{}, 1, 1}});
  ASSERT_OK(publish(proposal));
  ASSERT_OK(publish(proposal));
  EXPECT_EQ(audit().size(), 1u);
  Proposal wrong = propose(2, {{{}, 1, 2}});  // a version that is there with other content
  EXPECT_CODE(publish(wrong), Code::already_exists);
  const Principal mallory("mallory");
  EXPECT_CODE(registry_->set_tenant(mallory, {uuid('s', 1), "acme", 2}), Code::permission_denied);
  const wire::QuarantineRequest lift{uuid('s', 2), "acme", "total", uuid('v', 1), true, ""};
  ASSERT_OK(registry_->quarantine(local_, lift)) << "it is in no quarantine";
  EXPECT_EQ(audit().size(), 1u);
}

TEST_F(AuditTest, EachKindOfChangeIsInIt) {
  ASSERT_OK(publish(1, {{{}, 1, 1}, {{"usa"}, 2, 2}}));
  ASSERT_OK(move(2, {entry({}, 1)}));
  ASSERT_OK_AND_ASSIGN(const auto joined, join("s0", 3));
  ASSERT_OK(registry_->ack(local_, {"s0", registry_->generation(), joined.epoch, {}}));
  registry_->tend_view();
  ASSERT_OK(registry_->set_tenant(local_, {uuid('s', 1), "acme", 2, 1, 100, 0}));
  ASSERT_OK(registry_->set_quota(local_, {uuid('s', 2), "acme", {10, 100, 0}}));
  set_rule(40, [](auto& rule) { rule.keep_last = 2; });
  ASSERT_OK(registry_->quarantine(local_, {uuid('s', 3), "acme", "total", uuid('v', 2), false, "it \"lies\" \xff"}));
  ASSERT_OK(registry_->overlay(local_, {uuid('s', 4), "acme", "total", "canary", "production"}));
  ASSERT_OK(registry_->run_start(local_, {uuid('s', 5), "acme", "total", uuid('R', 1), "first"}));
  ASSERT_OK(registry_->run_end(local_, {uuid('s', 6), "acme", uuid('R', 1), wire::RunStatus::finished, ""}));
  ASSERT_OK(registry_->key_create(local_, {uuid('s', 7), "eta", {"reader"}, {"acme"}, false, 0, blake2b_256("a")}));
  ASSERT_OK(registry_->key_revoke(local_, {uuid('s', 8), "eta"}));
  ASSERT_OK(collect(9));
  ASSERT_OK(registry_->leave(local_, {uuid('s', 9), "s0"}));
  std::map<std::string, wire::AuditRecord> by;
  for (const auto& record : audit()) {
    EXPECT_TRUE(by.emplace(record.operation, record).second || record.operation == "view") << record.operation;
    EXPECT_TRUE(record.before.empty() || json::accept(record.before)) << record.before;
    EXPECT_TRUE(record.after.empty() || json::accept(record.after)) << record.after;
    EXPECT_FALSE(record.subject.empty()) << record.operation;
  }
  EXPECT_EQ(object(by["join"].after)["state"], "joining");
  EXPECT_EQ(by["join"].before, "");
  EXPECT_EQ(by["view"].who, "registry");
  EXPECT_EQ(by["set_tenant"].before, "");
  EXPECT_EQ(object(by["set_tenant"].after)["requests_per_second"], 100);
  EXPECT_EQ(object(by["set_quota"].after)["nodes"], 100);
  EXPECT_EQ(object(by["set_retention"].before)["keep_all"], true);
  EXPECT_EQ(object(by["set_retention"].after)["keep_last"], 2);
  EXPECT_EQ(object(by["quarantine"].before)["quarantined"], false);
  EXPECT_EQ(object(by["overlay"].after)["on"], "production");
  EXPECT_EQ(object(by["run_end"].after)["status"], "finished");
  EXPECT_EQ(by["key_create"].subject, "key eta");
  EXPECT_FALSE(object(by["key_revoke"].before).contains("revoked_us"));
  EXPECT_GT(object(by["key_revoke"].after)["revoked_us"], 0);
  EXPECT_EQ(object(by["collect"].after)["receipt"], uuid('q', 9).text());
  EXPECT_EQ(by["leave"].after, "");
  EXPECT_GE(by.size(), 14u);
}

TEST_F(AuditTest, SaysWhichKeyItWasAndWhatThatWasThen) {
  ASSERT_OK(registry_->key_create(local_, {uuid('s', 1), "eta", {"publisher"}, {"acme"}, false, 0, blake2b_256("a")}));
  Principal eta("eta");
  eta.grant("acme", {.read = true, .publish = true});
  const Proposal one = propose(1, {{{}, 1, 1}}), two = propose(2, {{{}, 2, 2}});
  ASSERT_OK(registry_->publish(eta, one.request, {wire::encode_array(one.versions)}));
  ASSERT_OK(registry_->key_rotate(local_, {uuid('s', 2), "eta", blake2b_256("b"), 0}));
  ASSERT_OK(registry_->publish(eta, two.request, {wire::encode_array(two.versions)}));
  wire::AuditRequest request;
  request.who = "eta";
  const auto records = audit(request);
  ASSERT_EQ(records.size(), 2u);
  for (const auto& record : records) EXPECT_EQ(record.roles, Path{"publisher"});
  EXPECT_EQ(records[0].keys, Path{blake2b_256("a").hex().substr(0, 16)});
  EXPECT_EQ(records[1].keys, Path{blake2b_256("b").hex().substr(0, 16)});
}

TEST_F(AuditTest, IsFoundByTenantWhoOperationAndTime) {
  std::vector<std::int64_t> times;
  for (std::uint32_t i = 1; i <= 30; ++i) {
    clock_.advance(1'000'000);
    times.push_back(clock_.wall_us());
    Proposal proposal = propose(i, {{{}, i, float(i)}});
    if (i % 3 == 0) {
      upload(small_artefact(float(i)), "globex");
      proposal.request.tenant = "globex";
    }
    ASSERT_OK(publish(proposal));
  }
  wire::AuditRequest request;
  const auto all = audit();
  ASSERT_EQ(all.size(), 30u);
  for (const std::uint32_t page : {1u, 7u, 256u}) {
    request = {};
    EXPECT_EQ(audit(request, page).size(), 30u);
    request.tenant = "globex";
    const auto own = audit(request, page);
    EXPECT_EQ(own.size(), 10u);
    for (const auto& record : own) EXPECT_EQ(record.tenant, "globex");
    request.since_us = times[5];
    request.until_us = times[11] + 500'000;
    EXPECT_EQ(audit(request, page).size(), 3u) << "the 6th, 9th and 12th";
    request.tenant.clear();
    EXPECT_EQ(audit(request, page).size(), 7u);
    request.operation = "move";
    EXPECT_TRUE(audit(request, page).empty());
  }
}

TEST_F(AuditTest, APageIsOneStateWhateverIsChangedMeanwhile) {
  for (std::uint32_t i = 1; i <= 10; ++i) ASSERT_OK(publish(i, {{{}, i, float(i)}}));
  wire::AuditRequest request;
  request.limit = 4;
  std::set<std::uint64_t> epochs;
  std::uint32_t next = 11;
  do {
    ASSERT_OK_AND_ASSIGN(const auto page, registry_->audit(local_, request));
    for (const auto& record : page.records) EXPECT_TRUE(epochs.insert(record.epoch).second);
    ASSERT_OK(publish(next, {{{}, next, float(next)}}));
    ++next;
    request.cursor = page.cursor;
  } while (!request.cursor.empty());
  EXPECT_EQ(epochs.size(), 10u);
}

TEST_F(AuditTest, ATenantsKeyReadsItsTenantsOnly) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  Principal mallory("mallory"), eta("eta");
  mallory.grant("globex", {.read = true});
  eta.grant("acme", {.read = true});
  wire::AuditRequest request;
  EXPECT_CODE(registry_->audit(mallory, request), Code::permission_denied);
  request.tenant = "acme";
  EXPECT_CODE(registry_->audit(mallory, request), Code::permission_denied);
  ASSERT_OK_AND_ASSIGN(const auto own, registry_->audit(eta, request));
  EXPECT_EQ(own.records.size(), 1u);
  request.cursor = "nonsense";
  EXPECT_CODE(registry_->audit(eta, request), Code::invalid_argument);
}

TEST_F(AuditTest, OfAnErasedTenantTellsOnlyThatItWasErased) {
  ASSERT_OK(publish(1, {{{}, 1, 1}}));
  Proposal other = propose(2, {{{}, 2, 2}});
  upload(small_artefact(2), "globex");
  other.request.tenant = "globex";
  ASSERT_OK(publish(other));
  ASSERT_OK(registry_->run_start(local_, {uuid('s', 5), "acme", "total", uuid('R', 1), "secret plans"}));
  ASSERT_OK(registry_->set_quota(local_, {uuid('s', 2), "acme", {10, 100, 0}}));
  const auto before = audit();
  ASSERT_OK(registry_->erase(local_, {uuid('s', 3), "acme", uuid('q', 1), false}));
  finish_work();
  const auto after = audit();
  ASSERT_EQ(after.size(), before.size() + 1) << "no record goes";
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i].epoch, before[i].epoch);
    EXPECT_EQ(after[i].time_us, before[i].time_us);
    EXPECT_EQ(after[i].erased, before[i].tenant == "acme");
    EXPECT_EQ(wire::encode(after[i]) == wire::encode(before[i]), before[i].tenant == "globex");
    if (after[i].erased) {
      EXPECT_EQ(after[i].who + after[i].operation + after[i].tenant + after[i].after, "");
    }
  }
  EXPECT_EQ(after.back().operation, "erase");
  EXPECT_EQ(after.back().who, "local");
  ASSERT_OK_AND_ASSIGN(const auto left, registry_->verify_erasure(local_, {"acme", uuid('q', 1), {}}));
  EXPECT_TRUE(left.left.empty()) << left.left.front();
  wire::AuditRequest request;
  request.tenant = "acme";
  EXPECT_EQ(operations(request), "erase");
}

}  // namespace
}  // namespace espalier::registry
