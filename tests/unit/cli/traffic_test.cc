#include "cli/status/traffic.h"

#include <gtest/gtest.h>

namespace espalier::cli {
namespace {

wire::TrafficReply reply(const std::string& name, unsigned char process, std::int64_t running_us) {
  wire::TrafficReply reply;
  reply.name = name;
  reply.process.bytes[0] = process;
  reply.running_us = running_us;
  return reply;
}

wire::TrafficRow row(const std::string& tenant, const std::string& model, std::uint64_t requests,
                     std::uint64_t failed = 0, std::uint64_t unexpected = 0) {
  wire::TrafficRow row;
  row.tenant = tenant;
  row.model = model;
  row.requests = row.answered = requests;
  row.failed = failed;
  row.unexpected = unexpected;
  row.took = {0, requests};
  return row;
}

Look look_of(std::vector<wire::TrafficReply> replies) {
  Look look;
  for (wire::TrafficReply& each : replies) look.emplace(each.process, each);
  return look;
}

std::vector<std::string> names(const std::vector<Traffic>& rows) {
  std::vector<std::string> names;
  for (const Traffic& row : rows) names.push_back(row.name);
  return names;
}

TEST(Traffic, IsWhatCameBetweenTwoLooks) {
  auto before = reply("s0", 1, 1'000'000), now = reply("s0", 1, 3'000'000);
  before.rows = {row("acme", "m", 100, 50, 0)};
  now.rows = {row("acme", "m", 300, 60, 20)};
  const auto rows = traffic_between(look_of({before}), look_of({now}), By::model, Sort::rate);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].name, "acme/m");
  EXPECT_DOUBLE_EQ(rows[0].rate, 100);
  EXPECT_DOUBLE_EQ(rows[0].failed, 0.05);
  EXPECT_DOUBLE_EQ(rows[0].fallback, 0.1);
  EXPECT_EQ(rows[0].p50_us, 1u);
}

TEST(Traffic, ProcessesAddUpAndOneThatWasStartedAnewIsLeftOut) {
  auto first = reply("s0", 1, 1'000'000), second = reply("s1", 2, 1'000'000), old = reply("s2", 3, 1'000'000);
  auto first_now = reply("s0", 1, 2'000'000), second_now = reply("s1", 2, 2'000'000), fresh = reply("s2", 4, 2'000'000);
  first_now.rows = {row("acme", "m", 10), row("", "", 1)};
  second_now.rows = {row("acme", "m", 20), row("other", "m", 5)};
  fresh.rows = {row("acme", "m", 1000)};
  const Look before = look_of({first, second, old}), now = look_of({first_now, second_now, fresh});
  auto rows = traffic_between(before, now, By::model, Sort::rate);
  EXPECT_EQ(names(rows), (std::vector<std::string>{"acme/m", "other/m", "(others)"}));
  EXPECT_DOUBLE_EQ(rows[0].rate, 30);
  EXPECT_EQ(names(traffic_between(before, now, By::shard, Sort::rate)), (std::vector<std::string>{"s1", "s0"}));
}

TEST(Traffic, IsInTheOrderAskedFor) {
  auto before = reply("r", 1, 1'000'000), now = reply("r", 1, 2'000'000);
  now.rows = {row("a", "", 10, 0, 5), row("b", "", 30, 3, 0), row("c", "", 20, 10, 0)};
  now.rows[0].took = {0, 0, 0, 0, 0, 0, 0, 10};
  const auto in = [&](Sort sort) {
    return names(traffic_between(look_of({before}), look_of({now}), By::tenant, sort));
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(in(Sort::rate), (Names{"b", "c", "a"}));
  EXPECT_EQ(in(Sort::errors), (Names{"c", "b", "a"}));
  EXPECT_EQ(in(Sort::fallback), (Names{"a", "b", "c"}));
  EXPECT_EQ(in(Sort::p99), (Names{"a", "b", "c"}));
  EXPECT_EQ(in(Sort::name), (Names{"a", "b", "c"}));
}

TEST(Traffic, WhatWasNotAskedIsNotShown) {
  auto before = reply("r", 1, 1'000'000), now = reply("r", 1, 2'000'000);
  before.rows = now.rows = {row("a", "", 10)};
  EXPECT_TRUE(traffic_between(look_of({before}), look_of({now}), By::tenant, Sort::rate).empty());
}

}  // namespace
}  // namespace espalier::cli
