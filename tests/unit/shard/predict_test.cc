#include "shard/predict.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <set>

#include "shard/table_edit.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/shard/table_builder.h"
#include "wire/messages.h"
#include "wire/row_codec.h"
#include "wire/trace.h"

namespace espalier::shard {
namespace {

/// The reply, or what it failed with as a whole.
Result<wire::PredictReply> read_reply(std::string_view header) {
  ASSIGN_OR_RETURN(wire::PredictReply reply, wire::decode<wire::PredictReply>(header));
  if (reply.status != Code::ok) return Status(reply.status, reply.message);
  return reply;
}

class PredictTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Model model = model_of({{"production", "", {{"", "ready", 1}, {"usa", "ready", 2}, {"peru", "cold", 3}}}});
    model.epoch = 9;
    add(std::move(model));
    Model elsewhere = model_of({});
    elsewhere.tenant = "zenith";
    elsewhere.key = model::model_key("zenith", "total");
    elsewhere.is_held = false;
    add(std::move(elsewhere));
    table_.epoch = 9;
    request_.tenant = "acme";
    request_.model = "total";
  }

  void add(Model model) {
    SnapshotMap<Model>::Editor models(table_.models);
    models.set(std::make_shared<const Model>(std::move(model)));
    table_.models = models.finish();
  }

  void ask(const std::string& partition, std::vector<model::Value> rows) {
    wire::PartAsked part;
    part.partition = values_of(partition);
    part.rows = static_cast<std::uint32_t>(rows.size());
    request_.parts.push_back(part);
    std::vector<wire::NamedRow> named;
    for (const model::Value& row : rows) named.push_back({{"x", row}});
    bodies_.push_back(wire::encode_rows(named));
  }

  Result<wire::PredictReply> answer() {
    std::string header = wire::encode(request_);
    if (stands_in_ || traces_) {
      const std::string without = header;
      wire::PredictHeader read;
      EXPECT_OK(wire::decode_predict(without, read));
      read.stand_in = stands_in_;
      read.trace = traces_;
      wire::encode_predict(read, header);
    }
    const std::vector<std::string_view> views(bodies_.begin(), bodies_.end());
    predictor_.answer(Principal::local(), table_, header, views, {received_us_, peer_}, reply_);
    predictor_.tell_times(took_us_, reply_);
    return read_reply(reply_.header);
  }

  ManualClock clock_;
  std::int64_t received_us_ = 0;
  std::string peer_;
  ModelTable table_;
  wire::PredictRequest request_;
  bool stands_in_ = false, traces_ = false;
  std::int64_t took_us_ = 40;
  std::vector<std::string> bodies_;
  Damage damage_;
  Predictor predictor_{"s0", clock_, damage_};
  Reply reply_;
};

TEST_F(PredictTest, SaysWhatAnsweredEachPart) {
  request_.prediction = uuid_of(77);
  request_.attempt = 2;
  ask("usa", {model::Value::of(2.0), model::Value::of(3.0)});
  ask("usa/ca", {model::Value::of(4.0)});
  ask("peru", {model::Value()});
  ASSERT_OK_AND_ASSIGN(const wire::PredictReply reply, answer());
  ASSERT_EQ(reply.parts.size(), 3u);
  ASSERT_EQ(reply_.body_count, 3u);
  const std::vector<std::vector<double>> values = {{2, 3}, {4}, {0}};
  const wire::Reason reasons[] = {wire::Reason::exact, wire::Reason::no_version, wire::Reason::cold};
  for (std::size_t i = 0; i < 3; ++i) {
    const wire::PartAnswered& part = reply.parts[i];
    EXPECT_EQ(part.status, Code::ok);
    EXPECT_EQ(part.rows, values[i].size());
    EXPECT_EQ(part.provenance.reason, reasons[i]);
    EXPECT_EQ(part.provenance.asked, request_.parts[i].partition);
    EXPECT_EQ(part.provenance.shard, "s0");
    EXPECT_EQ(part.provenance.tag, "production");
    EXPECT_EQ(part.provenance.epoch, 9u);
    EXPECT_EQ(part.provenance.attempt, 2u);
    EXPECT_EQ(part.provenance.prediction, uuid_of(77));
    ASSERT_OK_AND_ASSIGN(const wire::PartPrediction body, wire::decode_prediction(reply_.bodies[i], part.rows));
    EXPECT_EQ(body.value, values[i]);
  }
  EXPECT_EQ(reply.parts[1].provenance.served, values_of("usa"));
  EXPECT_EQ(reply.parts[1].provenance.level, "country");
  EXPECT_EQ(reply.parts[2].provenance.level, "global");
  EXPECT_EQ(reply.parts[2].provenance.version, uuid_of(1));
}

TEST_F(PredictTest, SaysWhereAnotherReplicaMayHaveTheAnswer) {
  const struct {
    std::string state;
    bool is_unready;
  } cases[] = {{"cold", true}, {"corrupt", true}, {"removed", false}, {"ready", false}};
  for (const auto& c : cases) {
    add(model_of({{"production", "", {{"peru", c.state, 3}}}}));
    request_.parts.clear();
    bodies_.clear();
    ask("peru", {model::Value::of(2.0)});
    ASSERT_OK_AND_ASSIGN(const wire::PredictReply reply, answer());
    EXPECT_EQ(reply.parts[0].status, c.state == "ready" ? Code::ok : Code::no_model) << c.state;
    EXPECT_EQ(wire::is_unready(reply_.header), c.is_unready) << c.state;
  }
}

TEST_F(PredictTest, WhileNodesAreTakenInAnotherReplicaMayHaveWhatIsColdHere) {
  add(model_of({{"production", "", {{"", "ready", 1}, {"peru", "cold", 3}, {"usa", "removed", 4}}}}));
  const auto is_unready = [&](const std::string& node) {
    request_.parts.clear();
    bodies_.clear();
    ask(node, {model::Value::of(2.0)});
    const auto reply = answer();
    EXPECT_OK(reply);
    EXPECT_EQ(reply->parts[0].status, Code::ok);
    return wire::is_unready(reply_.header);
  };
  EXPECT_FALSE(is_unready("peru"));
  table_.is_filling = true;
  EXPECT_TRUE(is_unready("peru"));
  EXPECT_FALSE(is_unready("usa"));
  EXPECT_FALSE(is_unready(""));
  stands_in_ = true;
  EXPECT_FALSE(is_unready("peru")) << "it is asked since the others are away";
}

TEST_F(PredictTest, WhatIsNotKnownHereAnotherReplicaMayKnow) {
  add(model_of({{"production", "", {{"usa", "ready", 2}}}}));
  ask("peru", {model::Value::of(2.0)});  // no node on its path
  ASSERT_OK_AND_ASSIGN(wire::PredictReply reply, answer());
  EXPECT_EQ(reply.parts[0].status, Code::no_model);
  EXPECT_TRUE(wire::is_unready(reply_.header));
  request_.parts.clear();
  bodies_.clear();
  ask("usa", {model::Value::of(2.0)});
  for (const bool is_here : {true, false}) {
    request_.refs = {"version:" + uuid_of(is_here ? 2 : 44).text()};
    ASSERT_OK_AND_ASSIGN(reply, answer());
    EXPECT_EQ(reply.parts[0].status, is_here ? Code::ok : Code::not_found);
    EXPECT_EQ(wire::is_unready(reply_.header), !is_here);
  }
}

TEST_F(PredictTest, OnlyATracedRequestIsToldItsTimesAndTheNodesOfItsWay) {
  ask("usa/ca", {model::Value::of(4.0)});
  ask("peru/lima", {model::Value::of(4.0)});
  ASSERT_OK(answer().status());
  const std::string plain = reply_.header;
  EXPECT_FALSE(wire::may_have_times(plain));
  traces_ = true;
  ASSERT_OK(answer().status());
  wire::ShardTimes times;
  EXPECT_EQ(wire::take_times(reply_.header, times), plain) << "and everything else is the same, byte for byte";
  std::vector<std::string> told;
  for (const wire::PartWalk& walk : times.walks) {
    for (const wire::WalkStep& step : walk.steps) {
      told.push_back(std::to_string(walk.part) + " " + step.level + (step.answers ? " answers " : " ") +
                     std::string(wire::reason_name(step.reason)) + " " +
                     (step.version.is_nil() ? "-" : std::to_string(step.version.bytes[15])));
    }
  }
  EXPECT_EQ(told, (std::vector<std::string>{"0 state no_version -", "0 country answers exact 2", "1 state no_version -",
                                            "1 country cold 3", "1 global answers exact 1"}));
  traces_ = false;
  ASSERT_OK(answer().status());
  EXPECT_EQ(reply_.header, plain);
}

TEST_F(PredictTest, ATracedRequestThatFailsIsToldItsTimesToo) {
  ask("usa", {model::Value::of(4.0)});
  request_.model = "absent";
  traces_ = true;
  EXPECT_CODE(answer().status(), Code::not_found);
  wire::ShardTimes times;
  EXPECT_NE(wire::take_times(reply_.header, times), std::nullopt);
}

TEST_F(PredictTest, ARouterHearsOfALongWaitWithoutAskingAndNobodyElseDoes) {
  ask("usa", {model::Value::of(4.0)});
  peer_ = "router";
  request_.shard = "s0";
  const struct {
    std::int64_t sent_us, received_us;
    std::uint64_t waited_us;
  } cases[] = {{1000, 501'000, 0}, {2000, 502'000, 0}, {3000, 533'000, 30'000}, {0, 700'000, 0}};
  for (const auto& c : cases) {
    request_.sent_us = c.sent_us;
    received_us_ = c.received_us;
    clock_.advance(c.received_us - clock_.monotonic_us());
    ASSERT_OK(answer().status());
    wire::ShardTimes times;
    EXPECT_EQ(wire::take_times(reply_.header, times).has_value(), c.waited_us > 0) << c.sent_us;
    EXPECT_LE(times.waited_us, c.waited_us);
    EXPECT_GE(times.waited_us + 100, c.waited_us) << "but for an allowance for clocks that run apart";
  }
}

TEST_F(PredictTest, ARouterHearsOfLongWorkWithoutAskingAndNobodyElseDoes) {
  ask("usa", {model::Value::of(4.0)});
  for (const bool is_router : {false, true}) {
    for (const std::int64_t took_us : {19'999, 20'000}) {
      request_.shard = is_router ? "s0" : "";
      took_us_ = took_us;
      ASSERT_OK(answer().status());
      wire::ShardTimes times;
      const bool is_told = is_router && took_us == 20'000;
      EXPECT_EQ(wire::take_times(reply_.header, times).has_value(), is_told);
      EXPECT_EQ(times.computed_us, is_told ? 20'000u : 0u);
    }
  }
}

TEST_F(PredictTest, WhoStandsInCallsColdWhatOthersMayHave) {
  ask("usa/ca/fresno", {model::Value::of(4.0)});  // a leaf
  ask("usa/ca", {model::Value::of(4.0)});         // an inner node, which all hold
  ask("usa", {model::Value::of(4.0)});
  for (const bool stands_in : {false, true}) {
    stands_in_ = stands_in;
    ASSERT_OK_AND_ASSIGN(const wire::PredictReply reply, answer());
    EXPECT_EQ(reply.parts[0].provenance.reason, stands_in ? wire::Reason::cold : wire::Reason::no_version);
    EXPECT_EQ(reply.parts[1].provenance.reason, wire::Reason::no_version);
    EXPECT_EQ(reply.parts[2].provenance.reason, wire::Reason::exact);
  }
}

TEST_F(PredictTest, AStandInNeverSaysThatThereIsNoModelOfALeaf) {
  add(model_of({{"production", "", {{"usa/ca/fresno", "cold", 3}}}}));
  ask("usa/ca/fresno", {model::Value::of(2.0)});
  ask("usa", {model::Value::of(2.0)});
  stands_in_ = true;
  for (const std::string& ref : {std::string("tag:production"), "version:" + uuid_of(99).text()}) {
    request_.refs = {ref};
    ASSERT_OK_AND_ASSIGN(const wire::PredictReply reply, answer());
    EXPECT_EQ(reply.parts[0].status, Code::unavailable) << ref;
    EXPECT_NE(reply.parts[1].status, Code::unavailable) << "all shards of the tenant hold what is above the leaves";
  }
}

TEST_F(PredictTest, WhatSomebodyMayNotAskForIsNotAmongWhatIsAskedFor) {
  ask("usa", {model::Value::of(2.0)});
  ASSERT_OK(answer().status());
  ASSERT_NE(predictor_.last_request(), nullptr);
  const std::string header = wire::encode(request_);
  const std::vector<std::string_view> views(bodies_.begin(), bodies_.end());
  predictor_.answer(Principal("eta"), table_, header, views, {received_us_, peer_}, reply_);
  EXPECT_CODE(wire::peek_status(reply_.header), Code::permission_denied);
  EXPECT_EQ(predictor_.last_request(), nullptr) << "it would make a node hot that others may ask for";
}

TEST_F(PredictTest, WhatNobodyAnswersForIsAskedForAllTheSame) {
  Model model = model_of({{"production", "", {{"peru", "cold", 3}}}});
  const Tag& tag = *model.tags[0];
  add(std::move(model));
  clock_.advance(50'000'000);
  received_us_ = clock_.monotonic_us();
  ask("peru", {model::Value::of(2.0)});
  ASSERT_OK_AND_ASSIGN(const wire::PredictReply reply, answer());
  ASSERT_EQ(reply.parts[0].status, Code::no_model);
  EXPECT_EQ(tag.nodes.find(node_key_of({"peru"}))->used.at(), LastUse::time_of(received_us_));
}

TEST_F(PredictTest, APartThatFailsTouchesNoOther) {
  ask("usa", {model::Value::of(2.0)});
  ask("usa", {model::Value::of("two")});
  ask("usa/a/b", {model::Value::of(5.0)});
  ask("usa", {model::Value::of(6.0)});
  request_.parts[2].partition.push_back("one level too many");
  ASSERT_OK_AND_ASSIGN(const wire::PredictReply reply, answer());
  EXPECT_EQ(reply.parts[0].status, Code::ok);
  EXPECT_EQ(reply.parts[1].status, Code::invalid_argument);
  EXPECT_EQ(reply.parts[1].message, "rows[0].x: expected a number, got text");
  EXPECT_EQ(reply.parts[1].rows, 1u);
  EXPECT_TRUE(reply_.bodies[1].empty());
  EXPECT_EQ(reply.parts[2].status, Code::invalid_argument);
  EXPECT_NE(reply.parts[2].message.find("partition: 4 level values"), std::string::npos);
  EXPECT_EQ(reply.parts[3].status, Code::ok);
  ASSERT_OK_AND_ASSIGN(const wire::PartPrediction body, wire::decode_prediction(reply_.bodies[3], 1));
  EXPECT_EQ(body.value, std::vector<double>{6});
}

TEST_F(PredictTest, ARequestThatCanNotBeAnsweredIsRefusedAsAWhole) {
  struct Case {
    std::string what;
    std::function<void(wire::PredictRequest&)> change;
    Code code;
    std::string message;
  };
  const Case cases[] = {
      {"another model", [](auto& r) { r.model = "totals"; }, Code::not_found, "model acme/totals"},
      {"another tenant", [](auto& r) { r.tenant = "acne"; }, Code::not_found, "model acne/total"},
      {"a tenant of other shards", [](auto& r) { r.tenant = "zenith"; }, Code::unavailable, "does not hold"},
      {"another tag", [](auto& r) { r.refs = {"tag:staging"}; }, Code::not_found, "tag staging of model acme/total"},
      {"an odd ref", [](auto& r) { r.refs = {"staging"}; }, Code::invalid_argument, "refs[0]"},
      {"two refs",
       [](auto& r) {
         r.refs = {"tag:a", "tag:b"};
       },
       Code::unimplemented, "refs"},
      {"an unknown release", [](auto& r) { r.refs = {"release:" + uuid_of(5).text()}; }, Code::not_found, "release"},
      {"nothing left", [](auto& r) { r.budget_us = 0; }, Code::deadline_exceeded, "budget"},
      {"another shard", [](auto& r) { r.shard = "s7"; }, Code::unavailable, "is for s7"},
      {"a later epoch", [](auto& r) { r.min_epoch = 10; }, Code::unavailable, "epoch 9"},
      {"no part", [](auto& r) { r.parts.clear(); }, Code::invalid_argument, "parts"},
      {"a part too many", [](auto& r) { r.parts.push_back({}); }, Code::invalid_argument,
       "2 in the header, but 1 body"},
      {"no tenant", [](auto& r) { r.tenant.clear(); }, Code::invalid_argument, "tenant"},
  };
  ask("usa", {model::Value::of(2.0)});
  const wire::PredictRequest good = request_;
  for (const Case& c : cases) {
    request_ = good;
    c.change(request_);
    const auto reply = answer();
    EXPECT_EQ(reply.status().code(), c.code) << c.what << ": " << reply.status().text();
    EXPECT_NE(reply.status().message().find(c.message), std::string::npos) << c.what << ": " << reply.status().text();
    EXPECT_EQ(reply_.body_count, 0u) << c.what;
  }
  request_ = good;
  EXPECT_OK(answer());
}

TEST_F(PredictTest, WhatIsTooLateIsNotComputed) {
  ask("usa", {model::Value::of(2.0)});
  ask("usa", {model::Value::of(3.0)});
  ask("usa", std::vector<model::Value>(1000, model::Value::of(4.0)));
  request_.budget_us = 1000;
  clock_.advance(1001);
  received_us_ = 1;
  ASSERT_OK_AND_ASSIGN(const wire::PredictReply in_time, answer());
  for (const wire::PartAnswered& part : in_time.parts) EXPECT_EQ(part.status, Code::ok);
  received_us_ = 0;
  ASSERT_OK_AND_ASSIGN(const wire::PredictReply late, answer());
  EXPECT_EQ(late.parts[0].status, Code::ok) << "there was time when it came";
  EXPECT_EQ(late.parts[1].status, Code::deadline_exceeded);
  EXPECT_EQ(late.parts[2].status, Code::deadline_exceeded);
  request_.parts.erase(request_.parts.begin(), request_.parts.begin() + 2);
  bodies_.erase(bodies_.begin(), bodies_.begin() + 2);
  ASSERT_OK_AND_ASSIGN(const wire::PredictReply broken_off, answer());
  EXPECT_EQ(broken_off.parts[0].status, Code::deadline_exceeded) << "a long part is broken off";
  EXPECT_TRUE(reply_.bodies[0].empty());
}

TEST_F(PredictTest, WhatWaitedLongerThanItsBudgetIsNotComputed) {
  ask("usa", {model::Value::of(2.0)});
  const auto status_of = [&](std::int64_t sent_us, std::int64_t taken_up_us) {
    clock_.advance(taken_up_us - clock_.monotonic_us());
    received_us_ = taken_up_us;
    request_.sent_us = sent_us;
    return answer().status().code();
  };
  peer_ = "a router";
  request_.budget_us = 50'000;
  EXPECT_EQ(status_of(900'000'000, 1'000), Code::ok) << "the way takes 100 us at most";
  EXPECT_EQ(status_of(900'009'000, 50'000), Code::ok) << "40 ms";
  EXPECT_EQ(status_of(900'009'000, 61'000), Code::deadline_exceeded) << "51 ms";
  EXPECT_EQ(status_of(900'061'000, 62'000), Code::ok);
  EXPECT_EQ(status_of(0, 200'000), Code::ok) << "not said";
  peer_ = "another";
  EXPECT_EQ(status_of(5'000, 300'000), Code::ok) << "nothing is known of its clock";
  // What is left is what counts from then on.
  ask("usa", {model::Value::of(3.0)});
  peer_ = "a router";
  clock_.advance(400'000 - clock_.monotonic_us());
  received_us_ = 400'000;
  request_.sent_us = 900'360'000;  // 39 ms ago
  clock_.advance(20'000);
  ASSERT_OK_AND_ASSIGN(const wire::PredictReply reply, answer());
  EXPECT_EQ(reply.parts[1].status, Code::deadline_exceeded);
}

TEST_F(PredictTest, NumbersFromOutsideDoNotGoRound) {
  using Limits = std::numeric_limits<std::int64_t>;
  ask("usa", {model::Value::of(2.0)});
  peer_ = "a router";
  const auto status_of = [&](std::int64_t sent_us, std::int64_t budget_us) {
    clock_.advance(1000);
    received_us_ = clock_.monotonic_us();
    request_.sent_us = sent_us;
    request_.budget_us = budget_us;
    return answer().status().code();
  };
  EXPECT_EQ(status_of(900'000'000, 50'000), Code::ok);
  EXPECT_EQ(status_of(900'000'500, Limits::min()), Code::deadline_exceeded) << "and it waited for half a millisecond";
  EXPECT_EQ(status_of(900'000'500, Limits::max()), Code::ok);
  for (const std::int64_t odd : {Limits::min(), std::int64_t{-1}, Limits::max()}) {
    EXPECT_EQ(status_of(odd, 50'000), Code::ok) << odd;
    EXPECT_EQ(status_of(900'000'500, 50'000), Code::ok) << "after " << odd;
  }
}

TEST_F(PredictTest, WhatOthersCountFromIsMeasuredByThePresent) {
  ask("usa", {model::Value::of(2.0)});
  peer_ = "a router";
  request_.budget_us = 50'000;
  request_.sent_us = 900'000'000;
  clock_.advance(100'000);
  received_us_ = 0;  // the clock was last read 100 ms ago
  EXPECT_OK(answer());
  request_.sent_us += 10'000;
  clock_.advance(10'000);
  received_us_ = clock_.monotonic_us();
  EXPECT_OK(answer()) << "it waited no longer than the one before";
}

TEST_F(PredictTest, CountsRequestsByCodeAndPartsByLevelAndReason) {
  const AnswerCounts& counts = predictor_.counts();
  const auto requests = [&](Code code) { return counts.requests[static_cast<std::size_t>(code)].value(); };
  const auto parts = [&](std::size_t above, wire::Reason reason) {
    return counts.parts[above][static_cast<std::size_t>(reason)].value();
  };
  ask("usa", {model::Value::of(2.0)});
  EXPECT_OK(answer());
  predictor_.took(70, 1);
  EXPECT_EQ(requests(Code::ok), 1u);
  std::uint64_t answered = 0;
  for (std::size_t above = 0; above < AnswerCounts::kLevelsAbove; ++above) {
    for (std::size_t i = 0; i < NodeCounts::kReasons; ++i) answered += parts(above, static_cast<wire::Reason>(i));
  }
  EXPECT_EQ(answered, 1u);
  EXPECT_EQ(parts(0, wire::Reason::exact), 1u);
  request_.model = "nothing";
  EXPECT_CODE(answer(), Code::not_found);
  predictor_.took(90, 2);
  EXPECT_EQ(requests(Code::not_found), 1u);
  predictor_.refused(Code::invalid_argument);
  EXPECT_EQ(requests(Code::invalid_argument), 1u);
  EXPECT_EQ(counts.took.read().count(), 2u);
  EXPECT_EQ(counts.took.read().sum_us, 160u);
  std::uint64_t failed = 0, of_models = 0;
  counts.for_each_model([&](const ModelCounts& model) {
    failed += model.failed.value();
    of_models += model.took.read().count();
  });
  EXPECT_EQ(failed, 1u) << "of a model that there isn't: with the rest";
  EXPECT_EQ(of_models, 2u);
}

TEST_F(PredictTest, RoutersOnlyAreAnsweredSinceLimitsAreKeptThere) {
  ask("usa", {model::Value::of(2.0)});
  const std::string header = wire::encode(request_);
  const std::vector<std::string_view> views(bodies_.begin(), bodies_.end());
  predictor_.answer(Principal("stranger"), table_, header, views, 0, reply_);
  EXPECT_CODE(read_reply(reply_.header), Code::permission_denied);
  Principal eta("eta"), shard("s1"), router("r0");
  eta.grant("acme", {.read = true, .predict = true});
  shard.grant_serving();
  router.grant_routing();
  std::set<std::string> texts;
  for (const Principal* who : {&eta, &shard}) {
    for (const char* name : {"s0", "another", ""}) {  // for whichever shard it is
      wire::PredictRequest request = request_;
      request.shard = name;
      predictor_.answer(*who, table_, wire::encode(request), views, 0, reply_);
      EXPECT_CODE(read_reply(reply_.header), Code::permission_denied);
      texts.insert(wire::peek_status(reply_.header).message());
    }
  }
  EXPECT_EQ(texts.size(), 2u) << "the same words, whatever it would have answered";
  predictor_.answer(router, table_, header, views, 0, reply_);
  EXPECT_OK(read_reply(reply_.header));
}

}  // namespace
}  // namespace espalier::shard
