#include "router/tenants.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace espalier::router {
namespace {

constexpr std::int64_t kSecond = 1'000'000;

Routes routes_of(std::uint64_t number, std::map<std::string, cluster::TenantSettings> settings) {
  cluster::View view;
  view.shards.push_back({"s0", {"tcp://127.0.0.1:1"}, 1});
  view.tenants = std::move(settings);
  Routes routes(std::move(view));
  routes.number = number;
  return routes;
}

/// How many of `count` requests sent evenly over a second are taken in, beginning at `from_us`.
int taken(Tenants& tenants, Tenant& tenant, int count, std::int64_t from_us) {
  int admitted = 0;
  for (int i = 0; i < count; ++i) {
    if (tenants.admit(tenant, 0, from_us + i * kSecond / count).status.ok()) ++admitted;
  }
  return admitted;
}

TEST(Tenants, OneIsHeldToItsRateWithABurstOfATenthOfASecond) {
  Tenants tenants;
  const Routes routes = routes_of(1, {{"acme", {0, 0, 100, 0}}, {"slow", {0, 0, 1, 0}}});
  Tenant& acme = tenants.at(routes, "acme", 0);
  EXPECT_NEAR(taken(tenants, acme, 1000, 0), 110, 1) << "ten at once, then a hundred a second";
  EXPECT_NEAR(taken(tenants, acme, 1000, kSecond), 100, 1);
  EXPECT_NEAR(taken(tenants, acme, 50, 2 * kSecond), 50, 1);
  Tenant& slow = tenants.at(routes, "slow", 0);
  EXPECT_EQ(taken(tenants, slow, 10, 0), 1) << "where a tenth of a second's is less than one";
  Tenant& other = tenants.at(routes, "other", 0);
  EXPECT_EQ(taken(tenants, other, 5000, 0), 5000) << "no limit is set";
}

TEST(Tenants, ARefusalSaysWhenThereWillBeRoom) {
  Tenants tenants;
  const Routes routes = routes_of(1, {{"acme", {0, 0, 10, 0}}});
  Tenant& acme = tenants.at(routes, "acme", 0);
  std::int64_t now_us = 0;
  ASSERT_OK(tenants.admit(acme, 0, now_us).status);
  for (int i = 0; i < 20; ++i) {
    const Admission refused = tenants.admit(acme, 0, now_us);
    ASSERT_EQ(refused.status.code(), Code::overloaded);
    EXPECT_NE(refused.status.message().find("acme"), std::string::npos);
    EXPECT_NE(refused.status.message().find("10 requests a second"), std::string::npos);
    ASSERT_GT(refused.retry_after_us, 0);
    ASSERT_LE(refused.retry_after_us, kSecond / 10 + 1);
    now_us += refused.retry_after_us;
    ASSERT_OK(tenants.admit(acme, 0, now_us).status) << "then there is";
  }
}

TEST(Tenants, OneHasNoMoreInFlightThanItMay) {
  Tenants tenants;
  const Routes routes = routes_of(1, {{"acme", {0, 0, 0, 2}}});
  Tenant& acme = tenants.at(routes, "acme", 0);
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(tenants.admit(acme, 0, 0).status);
    tenants.begin(acme, 10, 0);
  }
  EXPECT_EQ(tenants.admit(acme, 0, 0).status.code(), Code::overloaded);
  tenants.end(acme, 10);
  EXPECT_OK(tenants.admit(acme, 0, 0).status);
}

TEST(Tenants, InACrowdOneThatHoldsMoreThanItsShareIsRefused) {
  Tenants tenants;
  const Routes routes = routes_of(1, {});
  Tenant& flood = tenants.at(routes, "flood", 0);
  Tenant& other = tenants.at(routes, "other", 0);
  for (int i = 0; i < 99; ++i) tenants.begin(flood, 100, 0);
  EXPECT_OK(tenants.admit(flood, 50, 0).status) << "nobody else is there";
  EXPECT_OK(tenants.admit(other, 50, 0).status);
  tenants.begin(other, 100, 0);
  EXPECT_EQ(tenants.active(0), 2u);
  EXPECT_EQ(tenants.admit(flood, 50, 0).status.code(), Code::overloaded);
  EXPECT_OK(tenants.admit(other, 50, 0).status);
  EXPECT_OK(tenants.admit(flood, 0, 0).status) << "there is room for all";
  EXPECT_OK(tenants.admit(flood, 1'000'000, 0).status) << "who holds next to nothing makes no crowd";
  for (int i = 0; i < 98; ++i) tenants.end(flood, 100);
  EXPECT_OK(tenants.admit(flood, 50, 0).status) << "as much as the other";
  tenants.begin(flood, 1, 0);
  EXPECT_EQ(tenants.admit(flood, 50, 0).status.code(), Code::overloaded) << "few large ones count as many small ones";
}

TEST(Tenants, OneThatAsksNowAndThenHasAShareToo) {
  Tenants tenants;
  const Routes routes = routes_of(1, {});
  Tenant& flood = tenants.at(routes, "flood", 0);
  Tenant& other = tenants.at(routes, "other", 0);
  tenants.begin(flood, 100, 0);
  tenants.begin(other, 10, 0);
  tenants.end(other, 10);
  for (const std::int64_t now_us : {kSecond / 2, kSecond + 1}) {
    EXPECT_EQ(tenants.admit(flood, 50, now_us).status.code(), Code::overloaded) << "the other one asked lately";
    EXPECT_OK(tenants.admit(other, 50, now_us).status);
  }
  tenants.begin(flood, 100, 5 * kSecond);
  EXPECT_OK(tenants.admit(flood, 50, 5 * kSecond).status) << "that is long ago";
}

TEST(Tenants, ANewViewBringsNewLimitsAndForgetsNothing) {
  Tenants tenants;
  const Routes first = routes_of(1, {{"acme", {0, 0, 100, 0}}}), second = routes_of(2, {{"acme", {0, 0, 100, 1}}});
  Tenant& acme = tenants.at(first, "acme", 0);
  EXPECT_NEAR(taken(tenants, acme, 1000, 0), 110, 1);
  tenants.begin(acme, 5, 0);
  EXPECT_EQ(&tenants.at(second, "acme", kSecond), &acme);
  EXPECT_EQ(tenants.admit(acme, 0, kSecond).status.code(), Code::overloaded) << "one is in flight";
  tenants.end(acme, 5);
  EXPECT_LE(taken(tenants, acme, 1000, kSecond), 101) << "no new burst";
}

TEST(Tenants, NamesFromOutsideDoNotGrowWithoutBound) {
  Tenants tenants;
  const Routes routes = routes_of(1, {});
  Tenant& kept = tenants.at(routes, "kept", 0);
  tenants.begin(kept, 1, 0);
  for (int i = 0; i < 250'000; ++i) tenants.at(routes, "t" + std::to_string(i), 0);
  EXPECT_LE(tenants.size(), 100'001u);
  EXPECT_EQ(&tenants.at(routes, "kept", 0), &kept);
  tenants.end(kept, 1);
}

}  // namespace
}  // namespace espalier::router
